"""`interp doctor --pin` writes what is here into subjects.yaml, and leaves every other character as it was."""

import pytest

from harness.errors import EnvironmentFault
from harness.inputs import Norms
from harness.language.references import Folder
from harness.language.subjects import load_subjects
from harness.pinning import Pin, pin, readiness, written

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXT = """\
# What specs may name.
models:
  near:   # cached on this machine
    hub: org/near
    revision: unpinned  # until the owner says

  far:
    hub: org/far
    revision: unpinned

saes:
  scope:
    release: gemma-scope-2b-pt-res-canonical
    id: layer_10/width_16k/canonical
    d_sae: 16384
    hook: blocks.10.hook_resid_post
    # the last word
subjects:
  near-l10:
    model: near
    sae: scope
    device: cpu
  far-l10: {model: far, sae: scope, device: cuda}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository, and a hub cache that holds one model and the SAE."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("INTERP_DEVICE", raising=False)
    files = {"org--near": ["config.json", "model.safetensors", "tokenizer.json"]}
    files["google--gemma-scope-2b-pt-res"] = ["layer_10/width_16k/average_l0_77/params.npz"]
    for repository, names in files.items():
        base = tmp_path / "hub" / f"models--{repository}"
        for name in ["refs/main", *(f"snapshots/{COMMIT}/{n}" for n in names)]:
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text(COMMIT if name == "refs/main" else name)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/subjects.yaml").write_text(TEXT)
    return tmp_path


def measured(subject):
    return Norms(12.5)


def test_pins_are_written_and_all_else_stays(root):
    """Five pins of what is cached; comments, blank lines and the model that is not here are as before."""
    pins, faults = pin(root, lambda sae: "a" * 64, measured)
    assert [(p.section, p.name, p.key) for p in pins] == [
        ("models", "near", "revision"),
        ("models", "near", "digest"),
        ("models", "near", "tokenizer_digest"),
        ("saes", "scope", "digest"),
        ("subjects", "near-l10", "median_norm"),
    ]
    assert faults == []
    text = (root / "specs/subjects.yaml").read_text()
    added = [line for line in text.splitlines() if "digest:" in line]
    assert (
        text.replace(COMMIT, "unpinned")
        .replace("".join(f"{line}\n" for line in added[:2]), "")
        .replace(f"{added[2]}\n", "")
        .replace("    median_norm: {text: 12.5}\n", "")
        == TEXT
    )
    found = load_subjects(Folder(root))
    assert found.errors == ()
    assert found.subjects["near-l10"].model.revision == COMMIT
    assert found.subjects["near-l10"].norms == Norms(12.5)
    assert found.subjects["far-l10"].norms is None
    assert found.subjects["near-l10"].sae.digest == "a" * 64
    assert found.subjects["far-l10"].model.revision == "unpinned"
    assert pin(root, lambda sae: "b" * 64, measured) == ([], []), "what is pinned stays"


def test_an_sae_that_cannot_be_loaded_is_said_and_the_rest_is_pinned(root):
    """One fault costs its own pin only."""

    def refuse(sae):
        raise EnvironmentFault("sae_missing", f"SAE {sae.name} cannot be loaded.")

    def refuse_norms(subject):
        raise EnvironmentFault("sinks_unclear", f"the sinks of {subject.name} are unclear.")

    pins, faults = pin(root, refuse, refuse_norms)
    assert {p.section for p in pins} == {"models"}
    assert [fault.message for fault in faults] == ["SAE scope cannot be loaded.", "the sinks of near-l10 are unclear."]


@pytest.mark.parametrize("name", ["flow", "absent"])
def test_a_file_in_another_layout_is_left_alone(name):
    """Entries in braces are not edited; the message holds the line to write."""
    text = "models:\n  flow: {hub: a/b, revision: unpinned}\n"
    with pytest.raises(EnvironmentFault, match=f"Write `models.{name}.revision: {COMMIT}` by hand"):
        written(text, Pin("models", name, "revision", COMMIT))


def test_a_name_in_another_section_is_not_taken():
    """A model and an SAE may share a name."""
    text = "models:\n  a:\n    hub: x/y\nsaes:\n  a:\n    path: z\n"
    assert written(text, Pin("saes", "a", "digest", "1")) == text + "    digest: 1\n"
    assert written(text, Pin("models", "a", "digest", "1")) == text.replace("x/y\n", "x/y\n    digest: 1\n")


def test_readiness_says_what_is_missing(root):
    """Weights that are not cached, a device that is not there, and nothing where all is here."""
    found = {r.subject: r.missing for r in readiness(root)}
    assert found["near-l10"] == ()
    assert "the weights of org/far" in found["far-l10"]
