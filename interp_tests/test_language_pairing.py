"""Whether two subjects share an SAE or a model, from what specs/subjects.yaml says of them."""

import pytest

from harness.inputs import ModelRef, SaeRef
from harness.language.pairing import same_model, same_sae
from interp_tests.language_root import HEAD, codes_of, copy_root


def sae(location="a", digest=None, d_sae=None, name="s"):
    return SaeRef(name, "path", location, digest=digest, d_sae=d_sae)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (sae("a", "0" * 64), sae("b", "0" * 64), True),
        (sae("a", "0" * 64), sae("a", "1" * 64), False),
        (sae("a"), sae("a", "1" * 64, name="t"), True),
        (sae("a", d_sae=8), sae("b", d_sae=16), False),
        (sae("a", d_sae=8), sae("b", d_sae=8), None),
        (sae("a"), sae("b", d_sae=8), None),
    ],
)
def test_an_sae_is_its_digest_then_its_place_then_its_width(a, b, wanted):
    """Digests decide; without both, the same place is the same SAE and another width is another; else nobody knows."""
    assert same_sae(a, b) is wanted
    assert same_sae(b, a) is wanted


def test_a_model_is_its_digest_or_its_place():
    """Copies of one model are one model, and a changed file in one place is another."""
    a, b = (ModelRef("m", "path", place, digest=digest) for place, digest in (("x", "0" * 64), ("y", "0" * 64)))
    assert same_model(a, b)
    assert not same_model(a, ModelRef("m", "path", "x", digest="1" * 64))
    assert same_model(ModelRef("m", "path", "x"), ModelRef("n", "path", "x"))
    assert not same_model(ModelRef("m", "path", "x"), ModelRef("m", "path", "y"))


KIN = "\nsubjects:\n  kin: {model: other, sae: small-l3}"


def test_subjects_that_share_an_sae_or_a_model_load(tmp_path):
    """transfers wants one SAE on two models; transfers_sae one of the two; pictures go to the adapted model only."""
    file = copy_root(tmp_path) / "specs/subjects.yaml"
    entry = (
        "  - {id: a, feature: 1, transfers: {to: kin, prompts: color, images: others, as: new_vision}}\n"
        "  - {id: b, transfer_census: {to: kin, prompts: color, images: color, stable: {at_least: .1}}}\n"
        "  - {id: c, transfers_sae: {to: kin, prompts: color}}\n"
        "  - {id: d, subjects: [other], transfers_sae: {to: kin, prompts: color}}\n"
    )
    text = file.read_text().replace("\nsubjects:", KIN)
    specs = _with_subjects(tmp_path, text, f"{HEAD}expect:\n{entry}")
    assert [tuple(s.others) for s in specs] == [("kin",)] * 4
    needs = {(n.subject.name, n.prompts[0].text, n.residuals) for n in specs[0].needs()}
    color, others = (specs[0].sets[role].prompts[0].text for role in ("prompts", "images"))
    assert needs == {("small", color, False), ("kin", color, False), ("kin", others, False)}
    assert {n.residuals for n in specs[2].needs()} == {True}
    assert [s.name for s in specs[0].subjects] == ["small", "kin"]


def _with_subjects(root, subjects, suite):
    from harness.language.specs import load
    from harness.spec import Broken

    (root / "specs/subjects.yaml").write_text(subjects)
    path = root / "specs/suite.yaml"
    path.write_text(suite)
    items = load(root, [path]).items
    assert not [str(e) for item in items if isinstance(item, Broken) for e in item.errors]
    return items


def test_the_same_suite_without_the_shared_sae_is_refused(tmp_path):
    """The load above can fail: with the other SAE under that name, features are not comparable."""
    claim = "expect:\n  - {id: a, feature: 1, transfers: {to: other, prompts: color, as: stable}}\n"
    assert codes_of(tmp_path, HEAD + claim) == ["different_sae"]
