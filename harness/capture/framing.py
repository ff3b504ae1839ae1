"""Where a text stands in what a chat template or a picture's frame makes of it.

The place is found by rendering twice, once with a marker in place of the text, and never by searching for the text: a
message `end` also stands in `<end_of_turn>`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.errors import EnvironmentFault
from harness.inputs import Prompt

# Private-use characters: they have no case, are no white space, and no template or tokenizer gives them a meaning.
MARKER = "\ue000\uf8ff\ue001"
# Llama 3.2's template, for one, writes today's date. The same prompt must be the same tokens tomorrow.
DATE = datetime(2024, 7, 26)
_DIRECTIVES = "aAbBcdHIjmMpSUwWxXyYZ%"
_SHOWN = 60

Render = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Framed:
    """`written` holds the text at [first, last); `offset` is where that part begins in the text, whose edges may have
    been stripped."""

    written: str
    first: int
    last: int
    offset: int

    @property
    def message(self) -> str:
        """The text as it stands in what was written."""
        return self.written[self.first : self.last]


def framed(render: Render, text: str) -> Framed:
    """Find `text` in `render(text)`. Raises EnvironmentFault `text_not_found` where it is dropped, repeated or changed.

    White space at its edges may be stripped: most templates do.
    """
    before, after = _around(render, text)
    written = render(text)
    for kept in dict.fromkeys((text, text.strip(), text.lstrip(), text.rstrip())):
        if kept and written == before + kept + after:
            return Framed(written, len(before), len(before) + len(kept), text.find(kept))
    if written.startswith(before) and written.endswith(after):
        raise _not_found(text, "changes it")
    raise _not_found(text, "writes other words around it than around another text")


def chat_of(tokenizer: Any, prompt: Prompt, bos_first: bool) -> Framed:
    """The prompt as one message of the model's own chat template, after BOS or not, whatever the template writes.

    Raises EnvironmentFault `no_chat_template`, `chat_template_failed` or `text_not_found`.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise EnvironmentFault(
            "no_chat_template", f"{type(tokenizer).__name__} has no chat template.", "Take `chat` out of the set."
        )

    def render(text: str) -> str:
        messages = [{"role": prompt.chat, "content": text}]
        try:
            template = _of_one_day(tokenizer.get_chat_template())
            written = str(tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False))
        except Exception as error:
            raise EnvironmentFault.unforeseen("chat_template_failed", "the model's chat template", error) from error
        bos = tokenizer.bos_token or ""
        return (bos if bos_first else "") + written.removeprefix(bos)

    return framed(render, prompt.text)


def _of_one_day(template: str) -> str:
    """The template, in which `strftime_now` gives DATE: a macro of that name hides transformers' own function."""
    if "strftime_now" not in template:
        return template
    dated = "".join(f" | replace({'%' + one!r}, {DATE.strftime('%' + one)!r})" for one in _DIRECTIVES)
    return "{% macro strftime_now(format) %}{{ format" + dated + " }}{% endmacro %}" + template


def shown(text: str) -> str:
    """A prompt's text as a fault quotes it."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _around(render: Render, text: str) -> tuple[str, str]:
    """What stands before and after the one place of a text."""
    before, *rest = render(MARKER).split(MARKER)
    if len(rest) != 1:
        raise _not_found(text, f"writes it {len(rest)} times" if rest else "drops or changes it")
    return before, rest[0]


def _not_found(text: str, what: str) -> EnvironmentFault:
    return EnvironmentFault(
        "text_not_found",
        f"the model's template {what}: the text {shown(text)} cannot be told from the words around it.",
        "Take `chat` out of the set, or repair the chat template.",
    )
