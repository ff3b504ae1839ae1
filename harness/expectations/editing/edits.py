"""`edits:` of a claim: what each is called, which words it takes, and whether it can change anything at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from harness.errors import did_you_mean
from harness.expectations.editing import rewriting
from harness.expectations.telling import listed
from harness.inputs import Prompt

# In the order in which several are applied to one prompt: what needs marks comes before what loses them.
ORDER = (
    "paraphrase", "swap_marked", "swap_within", "negation", "typo", "case", "punctuation", "position", "filler_before",
    "filler_after",
)  # fmt: skip
NEED_WORDS = ("swap_marked", "paraphrase")
TAKE_WORDS = (*NEED_WORDS, "swap_within", "filler_before", "filler_after", "position")
NEED_MARKS = ("swap_marked", "swap_within")
_PLAIN: dict[str, Callable[[Prompt], list[Prompt]]] = {
    "negation": rewriting.negation,
    "typo": rewriting.typo,
    "case": rewriting.case,
    "punctuation": rewriting.punctuation,
}
_WORDED: dict[str, Callable[[Prompt, Sequence[str]], list[Prompt]]] = {
    "paraphrase": rewriting.paraphrase,
    "swap_marked": rewriting.swap_marked,
    "position": rewriting.position,
    "filler_before": rewriting.filler_before,
    "filler_after": rewriting.filler_after,
}


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit by its name; `words`: those given in YAML, empty where it has its own."""

    name: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.words)})" if self.words else self.name

    def in_words(self) -> str:
        """`case`, or `swap marked: big, old`."""
        return self.name.replace("_", " ") + (f": {listed(self.words)}" if self.words else "")

    def variants(self, prompt: Prompt, kinds: rewriting.Words) -> list[Prompt]:
        """Every way in which this edit changes the prompt, simplest first; empty where it cannot."""
        if self.name == "swap_within":
            return rewriting.swap_within(prompt, self.words, kinds)
        return _PLAIN[self.name](prompt) if self.name in _PLAIN else _WORDED[self.name](prompt, self.words)


def read_edit(value: Any) -> Edit:
    """`case`, or `{swap_marked: [big, old]}`; ValueError says what is wrong and how it is written."""
    if isinstance(value, Edit):
        return value
    if isinstance(value, str):
        return _worded(_known(value), None)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError("an edit is a name (`case`) or one name with its words (`{swap_marked: [big, old]}`)")
    ((name, words),) = value.items()
    return _worded(_known(str(name)), words)


_MOST_WORDS, _MOST_LETTERS = 500, 20_000
_WORDS_SCHEMA = {"type": "array", "items": {"type": "string", "minLength": 1, "pattern": "\\S"}, "minItems": 1}
_TAKES = {
    "swap_marked": "Words outside the concept; each stands in for the marked one.",
    "swap_within": "Words of the same concept; each stands in for a marked one. Without them, the set's own.",
    "paraphrase": "Other sentences with {slots}, which take the prompt's own words.",
    "position": "Sentences put before the text, one, two, ... of them, so that it stands further on.",
    "filler_before": "Sentences that are put before the prompt.",
    "filler_after": "Sentences that are put after the prompt.",
}
_EDIT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"enum": [name for name in sorted(ORDER) if name not in NEED_WORDS]},
        {
            "type": "object",
            "properties": {name: {**_WORDS_SCHEMA, "description": _TAKES[name]} for name in sorted(TAKE_WORDS)},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}
AnEdit = Annotated[Edit, PlainValidator(read_edit), WithJsonSchema(_EDIT_SCHEMA)]


def _known(name: str) -> str:
    if name not in ORDER:
        hint = did_you_mean(name, ORDER) or f" One of {', '.join(sorted(ORDER))}."
        raise ValueError(f"{name!r} is no edit.{hint}")
    return name


def _worded(name: str, words: Any) -> Edit:
    if words is None and name not in NEED_WORDS:
        return Edit(name)
    if name not in TAKE_WORDS:
        raise ValueError(f"{name!r} takes no words; write it alone")
    are_words = isinstance(words, list | tuple) and all(isinstance(w, str) and w.strip() for w in words)
    if not are_words or not words:
        what = "frames" if name == "paraphrase" else "words"
        raise ValueError(f"{name!r} needs a list of {what}, none of them empty: {{{name}: [{_SAMPLE[name]}]}}")
    if len(words) > _MOST_WORDS or sum(map(len, words)) > _MOST_LETTERS:
        raise ValueError(f"{name!r} takes at most {_MOST_WORDS} texts of {_MOST_LETTERS:,} letters in all")
    return Edit(name, tuple(words))


_SAMPLE = {
    "swap_marked": "big, old",
    "swap_within": "red, blue",
    "paraphrase": '"There lies a {marked} thing."',
    "position": '"It was late."',
    "filler_before": '"By the way:"',
    "filler_after": '"That is all."',
}


def cannot(edit: Edit, prompts: Sequence[Prompt], kinds: rewriting.Words) -> str | None:
    """Why an edit can change none of these prompts, with the mend; None where it changes at least one."""
    if edit.name in NEED_MARKS and not any(p.marks for p in prompts):
        return (
            f"{edit.name!r} exchanges marked words, and no prompt here is marked: put [[ ]] around the word or slot, "
            "and `marks: true` beside it"
        )
    unknown = _unknown_slot(edit, prompts)
    if unknown is not None:
        return unknown
    if any(edit.variants(prompt, kinds) for prompt in prompts):
        return None
    return (
        f"{edit.name!r} changes nothing: every example would equal its original. {_MENDS.get(edit.name, 'Remove it')}"
    )


_MENDS = {
    "swap_marked": "Give words that differ from the marked ones",
    "swap_within": "Mark more than one word of a kind, or give the words: {swap_within: [red, blue]}",
    "typo": "It needs a word of four letters or more that is not marked",
    "paraphrase": "Give a frame that differs from the prompts",
}


def _unknown_slot(edit: Edit, prompts: Sequence[Prompt]) -> str | None:
    """The first {slot} of a paraphrase that no prompt has."""
    if edit.name != "paraphrase":
        return None
    known = sorted({slot for prompt in prompts for slot in rewriting.slots_of(prompt)})
    for frame in edit.words:
        strange = sorted(rewriting.slots_in(frame) - set(known))
        if strange:
            hint = did_you_mean(strange[0], known) or (f" It has {', '.join(known)}." if known else " It has none.")
            return f"{{{strange[0]}}} in a paraphrase is no slot of this set.{hint}"
    return None
