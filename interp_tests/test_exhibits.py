"""What the page shows of the evidence, held against the codes one token at a time."""

import json

import numpy as np
import pytest

from harness.codes import Kind
from harness.expectations.toy import IMAGE, rows
from harness.inputs import Picture, Prompt, PromptSet
from harness.reports.exhibits import WINDOW, Exhibits
from harness.verdict import Example, Outcome, Verdict
from interp_tests.mutant_cases import toy_spec

MET = Verdict(Outcome.MET, "it does", feature=0)
TEXT = "the red ball rolled"


def compared(positive, negative, **settings):
    """A spec, its evidence and the card that is made of it."""
    spec, evidence = toy_spec("fires_more", {}, {"prompts": positive, "than": negative}, **settings)
    return spec, evidence


def card_of(spec, evidence, verdict=MET):
    exhibits = Exhibits()
    exhibits.add(spec, evidence, verdict)
    return json.loads(exhibits.cards[spec.id]), exhibits


def plain_column(codes, feature, pool, row):
    """The pooled value of one prompt, and each token's, by going through every stored value."""
    values = []
    for token in range(codes.n_tokens):
        if codes.prompt[token] != row:
            continue
        hits = [
            float(codes.value[i])
            for i in range(codes.indptr[token], codes.indptr[token + 1])
            if codes.index[i] == feature
        ]
        values.append(
            (codes.token[token], codes.kind[token] == Kind.TEXT and not codes.sink[token], hits[0] if hits else 0.0)
        )
    counted = [v for _, counts, v in values if counts]
    return (max(counted) if pool == "max" else sum(counted) / len(counted)), values


def dense(one):
    column = [0.0] * one["n"]
    for row, value in zip(one["rows"], one["values"], strict=True):
        column[row] = value
    return column


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_points_are_the_pooled_values(pool):
    """Every prompt of both sets is a point at its own value, silent ones at 0."""
    spec, evidence = compared(rows(6, TEXT, red=3), [*rows(4, TEXT), *rows(2, TEXT, ball=1)], pool=pool)
    card, _ = card_of(spec, evidence)
    assert [one["role"] for one in card["sets"]] == ["prompts", "than"]
    for one in card["sets"]:
        codes = evidence.codes(one["role"])
        plain = [plain_column(codes, 0, pool, row)[0] for row in range(codes.n_prompts)]
        assert dense(one) == pytest.approx(plain, rel=1e-3)
        assert dense(one) != pytest.approx([value + 0.01 for value in plain], rel=1e-3)


def test_heat_maps_hold_every_token_of_the_strongest_and_the_weakest_prompt():
    """Tokens in order with their values; what the claim does not count (<bos> and a sink, at 50) is marked, not left
    out, and a sink is shown as one."""
    spec, evidence = compared(rows(5, TEXT, red=3), rows(5, TEXT))
    card, _ = card_of(spec, evidence)
    shown = card["sets"][0]["prompts"]
    assert [(one["row"], one["why"]) for one in shown] == [(4, "strongest"), (0, "weakest")]
    for one in shown:
        _, plain = plain_column(evidence.codes("prompts"), 0, "max", one["row"])
        values = dict(zip(one["at"], one["values"], strict=True))
        assert one["tokens"] == [token for token, _, _ in plain]
        assert [values.get(i, 0) for i in range(len(plain))] == pytest.approx([v for _, _, v in plain], rel=1e-3)
        assert one["quiet"] == [i for i, (_, counts, _) in enumerate(plain) if not counts] == [0, 1]
        assert one["sinks"] == [1]


def test_prompts_that_bear_on_the_verdict_are_shown_among_their_set():
    """An example that is in a set is drawn there with its note; another one by itself."""
    spec, evidence = compared(rows(5, TEXT, red=3), rows(5, TEXT, ball=1))
    known = evidence.prompts("than").prompts[2].text
    examples = (Example(known, 1.02, "than", "fires, and should not"), Example("elsewhere", 2.0, "edited", "case"))
    card, _ = card_of(spec, evidence, MET.with_(examples=examples))
    assert {one["row"]: one["why"] for one in card["sets"][1]["prompts"]}[2] == "fires, and should not"
    assert [(one["text"], one["why"]) for one in card["examples"]] == [("elsewhere", "edited: case")]


def test_a_long_prompt_is_shown_around_its_peak():
    """5,000 tokens do not make a page of 5,000: what is left out is counted, and the peak is never left out."""
    long = [*((f"w{i}", 0.0) for i in range(3000)), ("here", 7.0), *((f"v{i}", 0.0) for i in range(2000))]
    spec, evidence = compared([long] * 2, rows(5, TEXT))
    shown = card_of(spec, evidence)[0]["sets"][0]["prompts"][0]
    assert len(shown["tokens"]) == WINDOW
    assert shown["before"] + WINDOW + shown["after"] == 5003
    assert [(shown["tokens"][at], value) for at, value in zip(shown["at"], shown["values"], strict=True)] == [
        ("here", 7.0)
    ]


def test_texts_stand_once_for_all_claims_on_a_set():
    """A hundred claims on two sets keep two lists of prompts; other prompts are another list."""
    spec, evidence = compared(rows(5, TEXT, red=3), rows(5, "the old ball rolled"))
    exhibits = Exhibits()
    for _ in range(3):
        exhibits.add(spec, evidence, MET)
    assert len(exhibits.texts) == 2
    card = json.loads(exhibits.cards[spec.id])
    for one in card["sets"]:
        assert exhibits.texts[one["set"]] == [p.text for p in evidence.prompts(one["role"]).prompts]
    other = compared(rows(4, TEXT, red=3), rows(5, "the old ball rolled"))
    exhibits.add(*other, MET)
    assert len(exhibits.texts) == 3


def test_patches_are_the_image_tokens_in_reading_order():
    """A prompt with a picture has its patches apart from its words, and the picture's path by digest."""
    values = [0.0, 2.0, 3.0, 0.0]
    positive = [[*((IMAGE, v) for v in values), ("red", 1.0)]]
    spec, evidence = compared(positive, rows(5, TEXT), tokens="image")
    picture = Picture("images/a.png", "d" * 64)
    evidence.sets = {**evidence.sets, "prompts": PromptSet("prompts", (Prompt("red", image=picture),))}
    card, exhibits = card_of(spec, evidence)
    shown = card["sets"][0]["prompts"][0]
    assert shown["patches"] == values
    assert shown["tokens"] == ["<bos>", "<sink>", "red"]
    assert dense(card["sets"][0]) == [3.0]
    assert exhibits.pictures == {shown["picture"]: "images/a.png"} == {"d" * 64: "images/a.png"}


def test_numbers_that_are_not_finite_are_no_json_of_their_own():
    """NaN has no JSON: it is null, and the text stays what a strict parser reads."""
    spec, evidence = compared(rows(5, TEXT, red=3), rows(5, TEXT))
    evidence.codes("prompts").value[:] = np.nan
    exhibits = Exhibits()
    exhibits.add(spec, evidence, MET)
    assert "NaN" not in exhibits.cards[spec.id]
    assert None in json.loads(exhibits.cards[spec.id])["sets"][0]["values"]


def test_a_claim_about_no_feature_has_no_exhibit():
    """Fidelity has no activation of a feature to show."""
    spec, evidence = toy_spec("reconstruction", {"fvu": {"at_most": 1}}, {"prompts": rows(5, TEXT)})
    exhibits = Exhibits()
    exhibits.add(spec, evidence, MET.with_(feature=None))
    assert exhibits.to_plain() == {"cards": {}, "texts": {}, "pictures": {}}


def test_what_processes_send_is_put_together():
    """Two workers' exhibits are one page's; one that sent nothing takes nothing away."""
    one, other = Exhibits(), Exhibits()
    one.add(*compared(rows(5, TEXT, red=3), rows(5, TEXT)), MET)
    other.merge(one.to_plain())
    other.merge({})
    assert other.to_plain() == one.to_plain() != Exhibits().to_plain()
