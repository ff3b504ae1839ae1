"""Whether a subject's texts begin with BOS: as its SAE was trained, unless specs/subjects.yaml says otherwise."""

from __future__ import annotations

from typing import Literal

from harness.inputs import Subject
from harness.trained import training_of

BosRule = Literal["prepend", "none", "tokenizer"]
_BY_TRAINING: dict[bool | None, BosRule] = {True: "prepend", False: "none", None: "tokenizer"}


def bos_rule(subject: Subject) -> BosRule:
    """Return what is done at the beginning of every text of a subject, from its files alone.

    prepend: BOS is there, whether or not the tokenizer adds it; none: it is not; tokenizer: as the tokenizer does it,
    where neither the subject nor the SAE says. A tokenizer without a BOS token gives none under every rule but a
    subject's own `bos: prepend`, which is then an error.
    """
    return rule_for(training_of(subject.sae).prepend_bos) if subject.bos == "auto" else subject.bos


def rule_for(trained_with_bos: bool | None) -> BosRule:
    """Return the rule for an SAE that was trained with BOS, without it, or (None) does not say."""
    return _BY_TRAINING[trained_with_bos]
