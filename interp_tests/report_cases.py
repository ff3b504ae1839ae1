"""Records for the tests of reports: one of each standing, and the prompts that a screen must survive."""

import datetime
from typing import ClassVar

import numpy as np

from harness.errors import Source, SpecError
from harness.expectations.base import Claim, Expectation
from harness.inputs import ModelRef, SaeRef, Subject
from harness.reports.record import Record, Run
from harness.spec import Broken, Spec
from harness.verdict import Example, Measurement, Outcome, Reason, Verdict, inconclusive

YAML = """\
  - id: beats-near-misses
    why: Code alone would be too easy a contrast.
    feature: 17
    fires_more: {prompts: color, than: others, auroc: {at_least: .75}}
"""
RERUN = 'pytest "interp_tests/test_specs.py::test_spec[tiny-gemma2/color::beats-near-misses]"'


class Claimed(Expectation):
    """Stands for any kind: reports read its name only."""

    kind: ClassVar[str] = "fires_more"


SUBJECT = Subject(
    "tiny-gemma2",
    ModelRef("tiny", "path", "zoo/model"),
    SaeRef("tiny", "path", "zoo/sae"),
    "blocks.3.hook_resid_post",
)


def spec(name="beats-near-misses", line=14, **changes):
    """A spec of the color suite, as language/ would hand it over."""
    given = {"features": (17,), "text": YAML, "why": "Code alone would be too easy a contrast.", **changes}
    source = Source("specs/tiny-gemma2/color.yaml", line, 5)
    return Spec(f"tiny-gemma2/color::{name}", "tiny-gemma2/color", SUBJECT, Claimed(), Claim(), source, **given)


def record(verdict, name="beats-near-misses", line=14, **changes):
    """The record of that spec under this verdict."""
    return Record.of(spec(name, line, **changes), verdict, "f" * 64, prompts=40, from_store=30, seconds=0.25)


def tokens(text, peak=None, activation=0.0):
    """The words of a text as tokens, one of them firing."""
    return tuple((word, activation if word == peak else 0.0) for word in text.split(" "))


def example(text, peak=None, activation=0.0, role="color", note="does not fire"):
    return Example(text, activation, role, note, tokens(text, peak, activation))


UNMET = Verdict(
    Outcome.UNMET,
    "feature 17 fires hardly more on color than on others: AUROC 0.61 [0.44, 0.76] (n=20 v 20, p=0.12), bound 0.75",
    measurement=Measurement("auroc", 0.6125, 40, low=0.4412, high=0.7631),
    bound="at least 0.75",
    p=0.1184,
    null_share=0.125,
    fragile=False,
    feature=17,
    also=(
        Measurement("firing rate on prompts", 0.45, 20, low=0.231, high=0.685),
        Measurement("firing rate on than", 0.35, 20, low=0.154, high=0.592),
    ),
    examples=(
        example("The red ball bounced."),
        example("She wore a blue dress to work.", "dress", 0.512),
        example("A quick dark fox.", "dark", 8.31, role="others", note="fires, and should not"),
    ),
    warnings=("12.5 % of the live features would also meet this claim; add near misses to `others`",),
)
TOO_FEW = inconclusive(
    Reason.TOO_FEW_PROMPTS,
    "3 prompts cannot show this for prompts in general. Add 2, or write `scope: sample` to claim it of these three.",
    bound="at least 0.75",
)
UNDERPOWERED = inconclusive(
    Reason.UNDERPOWERED,
    "AUROC 0.8 [0.5, 0.94] (n=6 v 6, p=0.09): too few prompts to tell 0.8 from chance",
    measurement=Measurement("auroc", 0.8, 12, low=0.5, high=0.94),
    bound="at least 0.75",
    p=0.09,
)
NOT_RUN = Verdict(
    Outcome.NOT_RUN,
    "could not be run: weights_missing: there are no weights at zoo/model. Put them there, or take the subject out.",
)
MET = Verdict(
    Outcome.MET,
    "feature 17 fires more on color than on others: AUROC 0.98 [0.87, 1] (n=20 v 20, p=3e-7), bound at least 0.75",
    measurement=Measurement("auroc", 0.9775, 40, low=0.8731, high=0.9964),
    bound="at least 0.75",
    p=3.1e-7,
    null_share=0.002,
    feature=17,
)


def with_prompt(text, peak=None, activation=0.0):
    """The unmet verdict with one prompt of interest."""
    return UNMET.with_(examples=(example(text, peak, activation),), warnings=(), also=())


LONG = " ".join(["word"] * 600 + ["crimson"] + ["word"] * 398) + "!" * 3
HOSTILE = "\x1b[31mred\x00\x07 \u202eevil\u202c zero\u200bwidth\nnew line\ttab \ud800 end"
RTL = "\u05d4\u05db\u05d3\u05d5\u05e8 \u05d4\u05d0\u05d3\u05d5\u05dd \u05e7\u05e4\u05e5"
EMOJI = "I \u2764\ufe0f my \U0001f469\u200d\U0001f4bb and \U0001f534 balls"

BROKEN = Broken(
    "tiny-gemma2/shapes",
    "tiny-gemma2/shapes",
    Source("specs/tiny-gemma2/shapes.yaml", 1, 1),
    (
        SpecError(
            "unknown_key",
            "`expekt` is not a key of a suite. Did you mean 'expect'?",
            Source("specs/tiny-gemma2/shapes.yaml", 2, 1),
            ["expect"],
        ),
        SpecError(
            "unknown_set",
            "there is no set of this name",
            Source("specs/tiny-gemma2/shapes.yaml", 3, 20),
            ["color"],
        ),
    ),
)
BROKEN_TEXT = "title: shapes\nexpekt:\n  - fires_more: {p: colour\u200b, than: code.txt}\n"
CAPTURE = {"tiny-gemma2": {"loads": 1, "prompts": 10, "tokens": 93, "batches": 2, "seconds": np.float64(0.5)}}
STARTED = datetime.datetime(2026, 11, 23, 2, 50, tzinfo=datetime.UTC)


def all_records():
    """One record of each standing."""
    return [
        record(MET, "holds", 5),
        record(UNMET),
        record(UNMET, "warns", 20, severity="warn"),
        record(UNMET, "fails-as-expected", 30, xfail="a bag of words does as well"),
        record(MET, "holds-after-all", 40, xfail="thought to be false"),
        record(TOO_FEW, "three", 50),
        record(UNDERPOWERED, "six", 60, severity="warn"),
        record(NOT_RUN, "gone", 70),
        Record.broken(BROKEN),
    ]


def run(records=None, **changes):
    """A run that began a while ago and read a little."""
    given = {"command": "pytest -q", "must_run": False, "capture": CAPTURE, **changes}
    return Run.now(STARTED, records=all_records() if records is None else records, **given)
