"""docs/kinds.md is what the registry says."""

from pathlib import Path

from harness.cli.kinds_page import kinds_page
from harness.expectations import kinds

PAGE = Path(__file__).resolve().parents[1] / "docs/kinds.md"


def test_the_page_is_in_step_with_the_kinds():
    """The file equals what `python -m harness.cli.kinds_page` writes."""
    assert PAGE.read_text() == kinds_page(kinds()), "run: python -m harness.cli.kinds_page > docs/kinds.md"


def test_a_kind_that_is_missing_would_be_seen():
    """The comparison can fail: without one kind the page is another."""
    fewer = {name: kind for name, kind in kinds().items() if name != "density"}
    assert kinds_page(fewer) != PAGE.read_text()


def test_every_field_and_finding_is_on_the_page():
    """Fields with their sentence, defaults, and the finding of each example."""
    page = PAGE.read_text()
    for kind in kinds().values():
        assert f"## {kind.kind}\n" in page
        for name, info in kind.model_fields.items():
            assert f"| `{info.alias or name}` |" in page
            assert info.description.replace("|", "\\|") in page
