"""What a stranger wrote, in everything that a run puts out: shown as text, and inert wherever it is read."""

import csv
import json
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from harness.reports.json import content_digest
from interp_tests.project import COLOR, make_project

EVIL = [
    "<script>PWN()</script>", "<img src=x onerror=PWN()>", "\x1b[2J\x1b]0;PWN\x07", "::set-output name=PWN::1",
    "a\n::error::PWN", "=cmd|' /C PWN'!A0", "+PWN", "-PWN", "@PWN", "\tPWN", "\rPWN", "[PWN](javascript:PWN())",
    "| PWN | x |", "`PWN`", "</pre></td></table>PWN", "<!-- PWN", "]]>PWN", "&lt;PWN", "\u202ePWN", "{{PWN}}", "# PWN",
    "https://PWN.example", "\"><b onclick='PWN'>", "![PWN](https://PWN.example/x.png)", "<a href=javascript:PWN>",
    "\x9b2JPWN",
    "\u2028PWN", "</script><script>PWN()</script>", "\\u003cscript>PWN", "*PWN*", "%0A::error::PWN",
]  # fmt: skip


def quoted(text):
    return json.dumps(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One real run: each text as reason, owner and prompt of a claim that fails, is expected to fail, or warns."""
    root = tmp_path_factory.mktemp("hostile")
    project = make_project(root / "repo", root / "store.sqlite")
    settings = ["", "severity: warn, ", "xfail: {evil}, "]
    claims = [
        f"- {{id: a{n}, feature: 17, {settings[n % 3].format(evil=quoted(text))}why: {quoted(text)}, "
        f"owner: {quoted(text)}, loosened_because: {quoted(text)}, fires_more: {{prompts: plain, than: color}}}}\n"
        for n, text in enumerate(EVIL)
    ]
    claims += ["- {id: pinned, feature: 17, holds_under: {prompts: color, edits: [case], relation: keeps_firing}}\n"]
    prompts = {"color": [f"{text} {n}. {color}" for n, (text, color) in enumerate(zip(EVIL, COLOR * 9, strict=False))]}
    prompts["plain"] = [f"{text} The dog slept {n} times." for n, text in enumerate(EVIL)]
    project.suite("evil", "".join(claims), prompts=prompts, title=EVIL[0], owner=EVIL[1])
    broken = "".join(f"- {{id: {quoted(text)}, {quoted(text)}: {quoted(text)}}}\n" for text in EVIL)
    project.suite("broken", broken, prompts={quoted(EVIL[0]): "../" + EVIL[1]})
    done = project.pytest("--junitxml=junit.xml", "-rA", "-v", COLUMNS="200", GITHUB_ACTIONS="")
    assert done.returncode == 1, done.stdout[-3000:]
    forge(project)
    return project, done


def forge(project):
    """A results.json whose digest fits, with a text in each field that a reader shows, `a0` a claim with a baseline."""
    made = project.results()
    for n, record in enumerate(made["records"]):
        record["finding"] = record["why"] = EVIL[n % len(EVIL)]
    made["records"][0] |= {"id": EVIL[2] + EVIL[4], "kind": "unchanged", "acceptable": None}
    made["run"] |= {"id": EVIL[2] + "\n::error::PWN", "command": EVIL[4], "commit": EVIL[2], "invalid": []}
    made["digest"] = content_digest(made)
    (project.root / "forged.json").write_text(json.dumps(made))


def read(run, name):
    return (run[0].root / "reports/latest" / name).read_text(encoding="utf-8")


def test_the_texts_are_shown(run):
    """The checks below can fail: what was planted stands in every output."""
    for name in ("results.json", "summary.md", "index.html"):
        assert read(run, name).count("PWN") > 10
    assert run[1].stdout.count("PWN") > 100
    assert run[0].root.joinpath("junit.xml").read_text().count("PWN") > 20


def test_the_terminal_is_sent_no_control_character(run):
    """No escape sequence, no line that another program takes for a command, nothing that reorders what is read."""
    for stream in (run[1].stdout, run[1].stderr):
        assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", stream)
        assert not [line for line in stream.splitlines() if line.lstrip().startswith(("::", "##["))]


COMMANDS = {
    "check": (["check"], 2),
    "check --json": (["check", "--json"], 2),
    "explain": (["explain", "evil::a4"], 0),
    "explain --json": (["explain", "evil::a2", "--json"], 0),
    "history": (["history"], 0),
    "history of a claim": (["history", "evil::a3"], 0),
    "show": (["show", "latest"], 0),
    "show --json": (["show", "latest", "--json"], 0),
    "compare": (["compare", "latest", "latest"], 0),
    "mutate": (["mutate", "--stored"], 2),
    "show what another hand wrote": (["show", "forged.json"], 0),
    "show --json what another hand wrote": (["show", "forged.json", "--json"], 0),
    "compare with it": (["compare", "forged.json", "latest"], 0),
    "compare --json with it": (["compare", "latest", "forged.json", "--json"], 0),
    "accept it": (["accept", "forged.json"], 1),
    "accept": (["accept", "latest"], 2),
    "draft": (["draft", "evil.yaml#color", "evil.yaml#plain", "-s", "tiny"], 0),
    "draft to": (["draft", "evil.yaml#color", "evil.yaml#" + EVIL[2], "-s", EVIL[4]], 2),
    "warm": (["warm"], 2),
    "store import": (["store", "import", "forged.json", EVIL[2]], 2),
    "doctor": (["doctor"], 0),
    "scan --json": (["scan", "17", "evil.yaml#color", "-s", "tiny", "--json"], 0),
    "top": (["top", EVIL[2] + EVIL[4] + EVIL[5], "-s", "tiny"], 0),
    "diff": (["diff", "evil.yaml#color", "evil.yaml#plain", "-s", "tiny"], 0),
    "scan": (["scan", "17", "evil.yaml#color", "-s", "tiny"], 0),
}


SILENT_ON_TEXTS = {
    "accept",
    "draft",
    "warm",
    "doctor",
    "store",
    "explain",
    "history",
    "show",
    "compare",
    "mutate",
    "top",
    "diff",
}  # as tables, they show none


@pytest.mark.parametrize(("command", "code"), COMMANDS.values(), ids=COMMANDS)
def test_no_command_sends_what_a_terminal_or_a_runner_obeys(run, command, code):
    """Every command that shows what others wrote, as a table and as JSON."""
    done = run[0].run([sys.executable, "-P", "-c", "from harness.cli import main; main()", *command], CI="")
    assert done.returncode == code, done.stdout + done.stderr
    told = done.stdout + done.stderr
    assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", told)
    assert "PWN" in told or command[0] in SILENT_ON_TEXTS
    assert not [line for line in told.splitlines() if line.lstrip().startswith(("::", "##["))]


def test_no_cell_of_the_csv_is_a_formula(run):
    """A spreadsheet runs what begins with = + - @ or a tab; numbers may be negative."""
    rows = list(csv.reader(read(run, "results.csv").splitlines()))
    assert len(rows) > len(EVIL)
    cells = [cell for row in rows for cell in row]
    assert any("PWN" in cell for cell in cells)
    for cell in cells:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", cell)


def test_junit_is_xml_with_text_in_it(run):
    """It parses, and no element or attribute comes of what was written."""
    tree = ElementTree.parse(run[0].root / "junit.xml")
    known = {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "skipped",
        "properties",
        "property",
        "system-out",
        "error",
    }
    assert {element.tag for element in tree.iter()} <= known
    assert not [name for element in tree.iter() for name in element.attrib if "PWN" in name]


def test_the_summary_has_no_markup_of_theirs(run):
    """Outside of code spans: no tag, link, picture, heading or table cell that they wrote."""
    text = read(run, "summary.md")
    plain = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert not re.findall(r"<[a-zA-Z!/]", plain)
    assert not re.findall(r"(?<!\\)\]\(", plain)
    assert "://" not in plain
    assert not [line for line in text.splitlines() if re.match(r"\s*#+ *PWN", line)]
    table = [line for line in text.splitlines() if line.startswith("| ")]
    by_columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table if "unmet" in line or "broken" in line}
    assert len(by_columns) == 1


class Page(HTMLParser):
    """What a browser would make elements and attributes of."""

    def __init__(self):
        super().__init__()
        self.attributes, self.scripts, self.tags, self.inside = [], [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts.append(data)


def test_the_page_has_no_element_of_theirs(run):
    """No script, handler, foreign address or image but the page's own."""
    page = Page()
    page.feed(read(run, "index.html"))
    assert page.tags.count("script") <= 2
    assert not [s for s in page.scripts if re.search(r"(?<![\w])PWN\(\)", s) and "<script" in s]
    assert not [(t, n) for t, n, _ in page.attributes if n.startswith("on") or "pwn" in n]
    addresses = [v for _, n, v in page.attributes if n in ("href", "src", "action", "data", "srcdoc", "formaction")]
    assert not [a for a in addresses if not a.startswith(("#", "data:image/")) or "PWN" in a.split(",")[0][:5]]
    assert not {"iframe", "object", "embed", "base"} & set(page.tags)
