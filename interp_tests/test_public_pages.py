"""A feature with a public page links to it, by the ids of sae-lens' registry; nothing is asked of the site."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.explaining import explain, in_words, to_dict
from harness.language.references import Folder
from harness.language.specs import load
from harness.language.subjects import load_subjects
from harness.releases import public_pages
from harness.reports.html.cards import card_views
from harness.reports.record import Record
from harness.store import Store
from interp_tests import report_cases as cases
from interp_tests.command import interp
from interp_tests.test_page import Elements, page

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS = load_subjects(Folder(ROOT)).subjects
PAGE = "https://www.neuronpedia.org/gemma-2-2b/10-gemmascope-res-16k/17"


def record_of(subject, **changes):
    return cases.Record.of(
        replace(cases.spec(), subject=SUBJECTS[subject], **changes), cases.UNMET, "f" * 64, 4, 4, 0.1
    )


@pytest.mark.parametrize(
    ("subject", "pages"),
    [
        ("gemma-2-2b-l10", (PAGE,)),
        ("paligemma2-3b-l10", (PAGE,)),  # another model through the same SAE: the page is the SAE's
        ("gemma-3-270m-l12", ("https://www.neuronpedia.org/gemma-3-270m/12-gemmascope-2-res-16k/17",)),
        ("qwen3-1.7b-l14", ()),  # a release without Neuronpedia ids
        ("tiny-gemma2", ()),  # an SAE of a path
    ],
)
def test_a_shipped_subject_has_the_pages_that_the_registry_names(subject, pages):
    """By release and id, as the installed registry has them; never for an SAE that no release has."""
    assert public_pages(SUBJECTS[subject].sae, [17]) == pages
    assert record_of(subject).pages == pages


def test_weights_that_a_mutant_changed_have_no_page():
    """What is read through a shuffled decoder is no longer the feature that the site shows."""
    sae = SUBJECTS["gemma-2-2b-l10"].sae
    assert public_pages(replace(sae, derived="random_sae"), [17]) == ()
    assert public_pages(replace(sae, sae_id="layer_99/width_16k/canonical"), [17]) == ()


def test_results_and_the_card_have_the_link():
    """One address a feature, in results.json and as a plain link; a subject without has no link at all."""
    record = record_of("gemma-2-2b-l10", features=(17, 18))
    assert json.loads(json.dumps(record.to_dict()))["pages"] == [PAGE, PAGE[:-1] + "8"]
    assert Record.from_dict(record.to_dict()).pages == record.pages
    linked = [a for a in Elements(page([record])).names("a") if not a["href"].startswith("#")]
    assert [a["href"] for a in linked] == [PAGE, PAGE[:-1] + "8"]
    assert all("noreferrer" in a["rel"] for a in linked)
    assert not [a for a in Elements(page([record_of("tiny-gemma2")])).names("a") if "neuronpedia" in a["href"]]


@pytest.mark.parametrize("address", ["javascript:alert(1)//17", "https://example.org/17", "//www.neuronpedia.org/17"])
def test_a_record_that_somebody_wrote_links_nowhere_else(address):
    """The card links to one site only, whatever a results.json says."""
    hostile = replace(record_of("tiny-gemma2"), pages=(address,))
    assert card_views([hostile], (), {})[0].pages == ()


def test_a_run_from_before_there_were_pages_is_still_read():
    """Its records have no such field."""
    old = {k: v for k, v in record_of("gemma-2-2b-l10").to_dict().items() if k != "pages"}
    assert Record.from_dict(old).pages == ()


def test_explain_says_the_page(tmp_path):
    """In words and in its document, without any evidence in the store."""
    suite = ROOT / "specs/gemma-2-2b"
    shipped = next(item for item in load(ROOT, [suite]).items if getattr(item, "best", None))
    claim = replace(shipped, features=(17,), best=None)
    found = explain(claim, Store(tmp_path / "store.sqlite"))
    assert to_dict(found)["pages"] == [PAGE]
    assert [text for what, text in in_words(found) if what == "page"] == [PAGE]


def test_show_lists_the_pages_of_a_run(tmp_path, monkeypatch, capsys):
    """Below the table, for claims that have some."""
    from harness.reports.json import results_json

    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.json").write_text(results_json(cases.run([record_of("gemma-2-2b-l10")])))
    code, out, _ = interp(capsys, "show", "results.json")
    assert code == 0
    assert PAGE in out
