"""Prompts to tokens beside the loading of weights: the first that can be read at once, the others by a thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain

from harness.bos import BosRule
from harness.capture.framing import shown
from harness.capture.tokens import Texts, Tokenized
from harness.errors import EnvironmentFault, contained
from harness.inputs import Prompt

Text = tuple[str, int, BosRule]  # prompt key, max_tokens, BOS: subjects of one model may differ in the latter two
_Outcome = tuple[Text, Tokenized | EnvironmentFault]


class Tokenizing:
    """What becomes of each text, in their order. Only one thread at a time uses the tokenizer: it is not made for two.

    `nothing_readable`: every text is a fault, known without a thread.
    """

    def __init__(self, texts: Texts, wanted: Mapping[Text, Prompt], thread: ThreadPoolExecutor) -> None:
        outcomes, self._first = _outcomes(texts, wanted), list[_Outcome]()
        self.nothing_readable = True
        for text, outcome in outcomes:
            self._first.append((text, outcome))
            if isinstance(outcome, Tokenized):
                self.nothing_readable = False
                break
        self._others = thread.submit(list, outcomes)

    def outcomes(self) -> Iterator[_Outcome]:
        """Waits for the thread."""
        return chain(self._first, self._others.result())


@contextmanager
def tokenizing(texts: Texts, wanted: Mapping[Text, Prompt]) -> Iterator[Tokenizing]:
    with ThreadPoolExecutor(1, thread_name_prefix="interp-tokens") as thread:
        yield Tokenizing(texts, wanted, thread)


def _outcomes(texts: Texts, wanted: Mapping[Text, Prompt]) -> Iterator[_Outcome]:
    for text, prompt in wanted.items():
        try:
            with contained():
                outcome = texts.tokenize(prompt, text[1], texts.begins(text[2]))
            yield text, outcome
        except Exception as error:  # noqa: BLE001 - tokenizers and image libraries raise anything: this text's alone
            yield text, EnvironmentFault.unforeseen("reading_failed", f"tokenizing {shown(prompt.text)}", error)
