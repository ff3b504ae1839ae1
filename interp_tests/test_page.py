"""index.html as text: nothing in it comes from outside, and nothing that a prompt says becomes a part of it."""

import base64
import fnmatch
import hashlib
import html
import io
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from harness.controls import Control
from harness.errors import EnvironmentFault
from harness.expectations.toy import rows
from harness.families import KIND
from harness.reports.exhibits import Exhibits
from harness.reports.html import page_html
from harness.reports.html.axis import axis_of, bound_limits
from harness.reports.html.standing import SIGNS, TONES
from harness.reports.html.thumbnails import MAX_BYTES, data_uri, thumbnails
from harness.reports.html.trend import trend_of
from harness.reports.record import Record
from harness.reports.terminal import ORDER
from harness.vacuity import saying_little
from harness.verdict import Fate, Measurement, Outcome, Reason, Trial, Verdict
from interp_tests import report_cases as cases
from interp_tests.mutant_cases import toy_spec

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """The elements of a page as a browser reads them: (name, attributes), and the text of styles and scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.inside, self.texts = [], "", {"style": [], "script": []}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag if tag in self.texts else ""
        if self.inside:
            self.texts[tag].append("")

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside][-1] += data

    def handle_endtag(self, tag):
        self.inside = ""

    def names(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def page(records=None, exhibits=None, pictures=None, **changes):
    return page_html(cases.run(records, **changes), exhibits or Exhibits(), pictures or {})


def data_of(text):
    scripts = zip(Elements(text).names("script"), Elements(text).texts["script"], strict=True)
    return json.loads(next(inside for attributes, inside in scripts if attributes.get("id") == "data"))


def hash_of(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_lets_in_the_pages_own_style_and_script_and_nothing_else():
    """default-src 'none', one style and one script by their hash; a changed script has another."""
    read = Elements(page())
    policy = next(a["content"] for a in read.names("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == hash_of(read.texts["style"][0])
    assert rules["script-src"] == hash_of(read.texts["script"][-1]) != hash_of(read.texts["script"][-1] + " ")
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy


def test_nothing_is_asked_of_another_place():
    """No element names an address outside the page, and none carries code of its own."""
    read = Elements(page())
    linked = [value for _, attributes in read.found for name, value in attributes.items() if name in ("src", "href")]
    assert linked
    assert all(value.startswith("#") for value in linked)
    assert not [name for _, attributes in read.found for name in attributes if name.startswith("on") or name == "style"]


def in_card(text, claim):
    """The HTML of one card."""
    return text.split(f'id="{claim}"')[1].split("</details>")[0]


@pytest.mark.parametrize("verdict", [cases.MET, cases.UNMET, cases.TOO_FEW, cases.NOT_RUN])
def test_every_card_says_what_is_claimed_above_what_was_found(verdict):
    """In words, also where nothing was measured; a record of an older run has no such sentence, and no such line."""
    record = cases.record(verdict)
    card = in_card(page([record]), record.id)
    assert card.index(record.claim) < card.index(html.escape(verdict.finding[:40], quote=False))
    older = Record.from_dict({name: value for name, value in record.to_dict().items() if name != "claim"})
    assert 'class="claim"' not in page([older])


def test_the_small_axis_of_a_summary_is_hidden_from_a_screen_reader():
    """The number stands beside it; the large axis of the body has its label."""
    axes = [a for a in Elements(page([cases.record(cases.MET)])).names("svg") if "axis" in a["class"]]
    assert [(a.get("aria-hidden"), a.get("role"), bool(a.get("aria-label"))) for a in axes] == [
        ("true", None, False),
        (None, "img", True),
    ]


@pytest.mark.parametrize(
    "hostile", [SCRIPT, cases.HOSTILE, cases.RTL, cases.EMOJI, "{{ 7*7 }} {% raw %}", "]]> --> <!--"]
)
def test_what_a_prompt_says_is_text(hostile):
    """Wherever a stranger's text stands (prompt, finding, YAML, owner), the elements are those of a tame page."""
    tame = [name for name, _ in Elements(page([hostile_record("tame")], hostile_exhibits("tame"))).found]
    text = page([hostile_record(hostile)], hostile_exhibits(hostile))
    assert [name for name, _ in Elements(text).found] == tame
    assert "\0" not in text
    assert "\u202e" not in text


def hostile_record(text):
    verdict = cases.with_prompt(text, text.split(" ")[0], 3.0).with_(finding=text, warnings=(text,), bound=text)
    return cases.record(verdict, why=text, owner=text, text=text, severity="warn", tags=("tag",))


def hostile_exhibits(text):
    """The exhibit of a prompt that says it, under the id of the record above."""
    spec, evidence = toy_spec("fires_more", {}, {"prompts": rows(3, "red ball", red=3), "than": rows(3, "ball")})
    codes = evidence.codes("prompts")
    given = {**evidence.codes_of, ("prompts", None): replace(codes, token=(text,) * codes.n_tokens)}
    exhibits = Exhibits()
    verdict = Verdict(Outcome.MET, "it does", feature=0)
    exhibits.add(replace(spec, id="tiny-gemma2/color::beats-near-misses"), replace(evidence, codes_of=given), verdict)
    exhibits.texts = {key: [text] * len(texts) for key, texts in exhibits.texts.items()}
    return exhibits


def test_the_data_of_a_hostile_prompt_comes_back_as_it_was():
    """`<` is spelled out in the JSON, so no prompt ends the element, and a parser reads the prompt itself."""
    text = page([hostile_record(SCRIPT)], hostile_exhibits(SCRIPT))
    assert SCRIPT in next(iter(data_of(text)["texts"].values()))
    assert "<img" not in text


def test_every_standing_has_a_sign_and_a_tone():
    """A verdict is told by word and sign, never by colour alone; signs of good and bad differ."""
    assert SIGNS.keys() == TONES.keys() == set(ORDER)
    assert not {SIGNS[s] for s in ORDER if TONES[s] == "good"} & {SIGNS[s] for s in ORDER if TONES[s] != "good"}
    text = page()
    for standing in ORDER:
        assert f'data-standing="{standing}"' in text


def test_a_card_says_all_that_the_record_holds():
    """Finding, reason why, numbers, YAML with its line numbers, fingerprint and the command that runs it again."""
    record = cases.record(cases.UNMET)
    text = html.unescape(page([replace(record, q=0.0421)]))
    for said in (
        record.verdict.finding,
        record.why,
        "auroc 0.6125 [0.4412, 0.7631]",
        "q 0.0421",
        "null share 12.5 %",
        record.fingerprint,
        "14 | - id: beats-near-misses",
        'pytest "interp_tests/test_specs.py::test_spec[tiny-gemma2/color::beats-near-misses]"',
        "40 prompts, 30 of them from the store",
    ):
        assert said in text, said


def test_mutants_are_counted_and_told_one_by_one():
    """What a claim kills, out of what could change its evidence, and what would kill a survivor."""
    tried = (
        Trial("wrong_feature", Fate.KILLED, "0 of 3 meet the claim", tried=3),
        Trial("swapped_sets", Fate.SURVIVED, "meets the claim", "assert the <order>", 1, 1),
        Trial("random_sae", Fate.NOT_APPLICABLE),
    )
    text = page([cases.record(cases.MET.with_(mutants=tried))])
    assert "kills 1 of 2" in text
    assert "to kill it: assert the &lt;order&gt;" in text
    assert "kills" not in page([cases.record(cases.MET)])


def test_a_family_is_run_again_by_its_own_test():
    """A family is no test_spec; the overview lists its members, the largest q first."""
    members = {"a::one": {"q": 0.01, "p": 0.01, "verdict": "met"}, "a::two": {"q": 0.2, "p": 0.1, "verdict": "unmet"}}
    verdict = Verdict(Outcome.UNMET, "one is above", details={"members": members})
    record = replace(cases.record(verdict), id="family[colors]", kind=KIND)
    text = page([record])
    assert 'pytest "interp_tests/test_specs.py::test_family[colors]"' in html.unescape(text)
    assert text.index("a::two</a>") < text.index("a::one</a>")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"partial": True}, "This run is partial"),
        ({"faults": [{"subject": "x", "code": "weights_missing", "message": "gone"}]}, "x: weights_missing: gone"),
        ({"records": [cases.record(cases.NOT_RUN)]}, "this run shows nothing"),
        ({"records": []}, "this run shows nothing"),
        ({"controls": [Control("planted", "tiny-gemma2", False, "<b>not</b> found")]}, "&lt;b&gt;not&lt;/b&gt; found"),
    ],
)
def test_what_is_wrong_with_the_run_comes_first(changes, said):
    """A partial run, one that lacked something and one that judged nothing say so at the top; a sound one does not."""
    records = changes.pop("records", [cases.record(cases.MET)])
    alerts = [one for one in page(records, **changes).split("<p") if 'role="alert"' in one]
    assert any(said in one for one in alerts)
    sound = page([cases.record(cases.MET)], controls=[Control("planted", "tiny-gemma2", True, "found")])
    assert 'role="alert"' not in sound


def test_claims_that_say_little_are_told_from_quiet_ones():
    """A large null share is a fault of a claim that was warned of; of a claim of silence it is as it must be."""
    warned = saying_little(cases.MET.with_(null_share=0.3), Reason.VACUOUS, "30 % would")
    quiet = cases.MET.with_(null_share=0.6)
    text = page([cases.record(warned, "loud"), cases.record(quiet, "quiet"), cases.record(cases.MET, "sharp")])
    assert "Null shares: 1 of 3 say little" in text
    assert "loud</a> says little</li>" in text
    assert "quiet</a></li>" in text
    assert "sharp</a>" not in text


def test_two_hundred_failures_and_a_long_prompt_are_one_page():
    """Each of 200 failing claims has its card, worst first, and 5,000 characters of prompt do not hide the rest."""
    records = [cases.record(cases.with_prompt(cases.LONG), f"c{i:03}", i) for i in range(200)]
    text = page([cases.record(cases.MET, "good"), *records])
    cards = [one["id"] for one in Elements(text).names("details") if one["class"].startswith("card")]
    assert cards == [*(f"tiny-gemma2/color::c{i:03}" for i in range(200)), "tiny-gemma2/color::good"]


@pytest.mark.parametrize(
    ("bound", "limits"),
    [
        ("at least 0.75", (0.75, np.inf)),
        ("at most 5", (-np.inf, 5)),
        ("between 4.3 and 17", (4.3, 17)),
        ("share of the strongest tokens at least 0.6", (0.6, np.inf)),
        ("0.165322 +- 0.000165", (0.165157, 0.165487)),
        ("at least 1e-05", (1e-05, np.inf)),
        ("at least -0.5", (-0.5, np.inf)),
        ("at most 2 x tiny-gemma2's", None),
        ("stable: Jaccard at least .6, Pearson at least .8, scale between .8 and 1.25", None),
        ("no counterexample", None),
    ],
)
def test_bounds_in_words_are_limits(bound, limits):
    """What can be drawn of a bound is its numbers; a bound over another subject's number has none."""
    found = bound_limits(bound)
    assert found == limits if limits is None else found == pytest.approx(limits)


def test_the_axis_puts_the_measurement_where_the_bound_says():
    """A value that meets its bound lies inside what is coloured, one that does not lies outside."""
    for value in (0.1, 0.74, 0.76, 1.0):
        axis = axis_of(
            Verdict(Outcome.MET, "", Measurement("auroc", value, 9, low=value / 2, high=1.0), "at least 0.75")
        )
        assert (axis.inside[0] <= axis.value <= axis.inside[1]) == (value >= 0.75)
        assert axis.low < axis.value <= axis.high
    wide = axis_of(Verdict(Outcome.MET, "", Measurement("l0", 14.2, 9, low=14.1, high=14.3), "between 6 and 20"))
    assert 0 <= wide.inside[0] < wide.low < wide.value < wide.high < wide.inside[1] <= 100


def test_a_trend_keeps_the_order_of_values_and_of_runs():
    """Higher values stand higher, later runs further right; a run without a value breaks the line."""
    trend = trend_of([0.2, 0.9, None, 0.5, 0.4])
    drawn = [
        (step[0], *map(float, step[1:].removesuffix("h0").split())) for step in re.findall(r"[ML][^ML]+", trend.path)
    ]
    assert [pen for pen, _, _ in drawn] == ["M", "L", "M", "L"]
    across, down = [x for _, x, _ in drawn], [y for _, _, y in drawn]
    assert across == sorted(across)
    assert len(set(across)) == 4
    assert sorted(range(4), key=down.__getitem__) == [1, 2, 3, 0]
    assert trend.last == (across[-1], down[-1])
    assert trend.label == "last 5 runs: 0.2 to 0.9, now 0.4"
    assert trend_of([0.5, 0.5, None]).label == "last 3 runs: 0.5 throughout, not measured now"


def test_one_value_is_no_trend():
    """Two runs must have one; infinity and NaN are none."""
    for values in ([], [0.5], [None, 0.5], [float("nan"), 0.5], [float("inf"), 0.5]):
        assert trend_of(values) is None
    text = page([cases.record(cases.MET)])
    assert 'class="trend"' not in text
    record = cases.record(cases.MET)
    with_one = page_html(cases.run([record]), Exhibits(), {}, {record.id: [0.9, 0.95, 0.9775]})
    assert with_one.count('class="trend"') == 1
    assert "last 3 runs: 0.9 to 0.9775, now 0.9775" in with_one


def test_what_has_no_number_has_no_axis():
    """Nothing measured, nothing finite, or a bound in words only: no axis."""
    assert axis_of(Verdict(Outcome.NOT_RUN, "")) is None
    assert axis_of(Verdict(Outcome.MET, "", Measurement("x", float("inf"), 1), "at least 1")) is None
    assert (
        axis_of(Verdict(Outcome.MET, "", Measurement("pearson", 0.9, 1), "stable: Jaccard at least .6 and more"))
        is None
    )


def noise(side):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize("image", [noise(900), Image.new("RGB", (56, 56), "red"), noise(300).resize((3000, 30))])
def test_pictures_are_small_and_drawn_anew(image):
    """Ten kilobytes at most, the same shape, and pixels that look like the picture's."""
    uri = data_uri(image)
    data = base64.b64decode(uri.partition(",")[2])
    drawn = Image.open(io.BytesIO(data)).convert("RGB")
    assert len(data) <= MAX_BYTES
    assert drawn.width / drawn.height == pytest.approx(image.width / image.height, rel=0.4)
    assert np.asarray(drawn).mean() == pytest.approx(np.asarray(image).mean(), abs=6)


def test_what_a_file_hides_beside_its_pixels_is_left_behind():
    """The raw file never comes into the page: neither its comments nor what follows its end."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "<script>alert(1)</script>")
    buffer = io.BytesIO()
    Image.new("RGB", (56, 56), "red").save(buffer, "PNG", pnginfo=info)
    given = buffer.getvalue() + b"trailing-secret"
    assert b"<script>" in given
    drawn = base64.b64decode(data_uri(Image.open(io.BytesIO(given)).convert("RGB")).partition(",")[2])
    assert b"<script>" not in drawn
    assert b"trailing-secret" not in drawn


def test_a_picture_that_cannot_be_opened_is_a_line_of_text():
    """The page is written without it, and says why."""

    def gone(picture):
        raise EnvironmentFault("picture_missing", f"the picture {picture.path} cannot be read.")

    assert thumbnails({"d": "images/a.png"}, gone) == {"d": "the picture images/a.png cannot be read."}
    assert thumbnails({"d": "images/a.png"}, lambda picture: Image.new("RGB", (8, 8)))["d"].startswith("data:image/png")


def test_the_pages_parts_are_declared_as_package_data():
    """What the page is made of is in the wheel, or an installed harness could write none."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["harness.reports"]
    folder = ROOT / "harness/reports"
    parts = [p.relative_to(folder).as_posix() for p in (folder / "html").iterdir() if p.suffix not in (".py", "")]
    assert len(parts) >= 5
    assert [part for part in parts if not any(fnmatch.fnmatch(part, pattern) for pattern in patterns)] == []


def loaded_by(code):
    """Which of the page's own libraries are in memory after running `code` in a fresh interpreter."""
    ask = f"{code}\nimport sys; print([m for m in ('jinja2', 'PIL', 'torch') if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, cwd=ROOT, check=True).stdout


def test_templates_and_pictures_cost_only_a_run_that_writes_a_page():
    """pytest --collect-only and `interp check` import neither; writing a page imports the templates, and no torch."""
    write = "from harness.reports.html import page_html; from harness.reports.exhibits import Exhibits\n"
    page_of_nothing = "from interp_tests.report_cases import run; page_html(run([]), Exhibits(), {})"
    assert loaded_by("import harness.plugin, harness.reports.write, harness.session").strip() == "[]"
    assert loaded_by(write + page_of_nothing).strip() == "['jinja2']"


def contrast(one, other):
    """WCAG 2's contrast ratio of two colours, #rrggbb."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


COLOURS = dict(
    re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\);", (ROOT / "harness/reports/html/page.css").read_text())
)
PAIRS = [
    *((text, back) for text in ("text", "soft", "link") for back in ("back", "card")),
    *((tone, f"{tone}-back") for tone in ("good", "bad", "warn", "unsure", "off")),
    ("text", "heat"),
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "back"), PAIRS)
def test_text_stands_out_from_what_is_behind_it(text, back, theme):
    """WCAG AA in both themes: 4.5 to 1."""
    assert contrast(*(COLOURS[name].split(", ")[theme] for name in (text, back))) >= 4.5


def test_the_contrast_is_measured():
    """Black on white is 21 to 1, and grey on grey would fail."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#888888") < 4.5
