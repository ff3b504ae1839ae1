"""What a notebook shows: tokens shaded by activation, tables, and nothing of a prompt that a browser would run."""

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.explore import census, open_subject
from harness.heatmaps import MOST, heat_table, table
from harness.rankings import RankedFeature, Ranking, Scan, ScannedPrompt
from interp_tests.project import COLOR, PLAIN, REPO

COLOR_FEATURE = 267  # of tiny-gemma2, see its card


class Shown(HTMLParser):
    """The tags, the text and the marked tokens with their titles and shades."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.marks = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "mark":
            given_ = dict(attrs)
            self.marks.append([given_["title"], float(re.search(r"([\d.]+)%", given_["style"])[1]), ""])

    def handle_data(self, data):
        self.text += data
        if self.marks and self.tags[-1] == "mark" and not self.marks[-1][2]:
            self.marks[-1][2] = data


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERP_STORE", str(tmp_path_factory.mktemp("displays") / "store.sqlite"))
        yield open_subject("tiny-gemma2", root=REPO)


def test_open_subject_is_the_packages_own():
    """`from harness import open_subject`, and a name that is none is an AttributeError as everywhere."""
    assert harness.open_subject is open_subject
    with pytest.raises(AttributeError, match="open_subjects"):
        harness.open_subjects  # noqa: B018 - the access is what is tried


def test_a_scan_shades_its_tokens_by_activation(opened):
    """The heat-map's titles are the activations, the strongest has the full shade, and silent tokens have none."""
    scan = opened.scan(COLOR_FEATURE, [*COLOR[:3], PLAIN[0]])
    shown = Shown(scan._repr_html_())
    fires = [(t, v) for row in scan for t, v, _ in row.tokens if v]
    assert [(mark[2], mark[0].removesuffix(", not counted")) for mark in shown.marks] == [
        (t, f"{v:.4g}") for t, v in fires
    ]
    top = max(v for row in scan for _, v, counted in row.tokens if counted)
    assert max(shown.marks, key=lambda mark: mark[1])[0] == f"{top:.4g}"
    assert max(mark[1] for mark in shown.marks) == MOST
    assert f"feature {COLOR_FEATURE}; full shade is {top:.4g}" in shown.text


def test_a_scan_is_its_prompts_in_order_and_by_strength(opened):
    """A sequence of prompts; `strongest` sorts it, and each row alone is a heat-map, too."""
    scan = opened.scan(COLOR_FEATURE, [PLAIN[0], *COLOR[:2]])
    assert len(scan) == 3
    assert list(scan) == [scan[0], scan[1], scan[2]]
    values = [row.activation for row in scan.strongest(2)]
    assert values == sorted((row.activation for row in scan), reverse=True)[:2]
    assert str(scan).splitlines() == [str(row) for row in scan]
    assert "<mark" in scan.strongest(1)[0]._repr_html_()


def test_a_scan_without_a_firing_says_so():
    """No shade and no division by zero: the caption says that it never fires."""
    shown = Shown(Scan((ScannedPrompt("a b", 0.0, (("a", 0.0, True), (" b", 0.0, True))),), 7)._repr_html_())
    assert "feature 7; it never fires" in shown.text
    assert not shown.marks


@given(st.lists(st.tuples(st.text(max_size=5), st.floats(-5, 5), st.booleans()), max_size=6), st.text(max_size=8))
def test_no_text_becomes_markup(tokens, caption):
    """Whatever prompts, captions and cells hold, the tags are ours and the text is theirs, letter by letter."""
    made = heat_table([(1.0, tokens)], caption) + table({caption: [text for text, _, _ in tokens]}, caption)
    assert set(Shown(made).tags) <= {"table", "caption", "thead", "tr", "th", "tbody", "td", "span", "mark"}
    assert "".join(html.escape(text) for text, _, _ in tokens) in re.sub(r"</?(span|mark)[^>]*>", "", made)


def test_tables_of_features_and_classes(opened):
    """A ranking has a row for each feature; a census its classes with their counts, and what was read."""
    ranking = opened.differential_features(COLOR, PLAIN, n=3)
    assert Shown(ranking._repr_html_()).tags.count("tr") == 4
    assert "no feature fires" in Ranking("mean", ())._repr_html_()
    assert "red" in Ranking("activation", (RankedFeature(1, 2.0, token=" red"),))._repr_html_()
    found = census(opened, open_subject("tiny-paligemma2", root=REPO), COLOR)
    text = Shown(found._repr_html_()).text
    for name, count in found.counts.items():
        assert f"{name}{count:,}" in text
    assert "adapted_text" in text
