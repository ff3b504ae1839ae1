"""index.html as a reader has it: a real run of the tiny model, opened from disk in Chromium."""

import itertools
import time
from dataclasses import replace

import pytest
from PIL import Image

from harness.expectations.toy import IMAGE, rows
from harness.inputs import Picture, Prompt, PromptSet
from harness.language.specs import load
from harness.reports.exhibits import Exhibits
from harness.reports.html import page_html
from harness.reports.html.thumbnails import thumbnails
from harness.runlog import RunLog
from harness.running import Runner
from harness.store import Store
from harness.verdict import Outcome, Verdict
from interp_tests import report_cases as cases
from interp_tests.browser import chromium, requests_of, view
from interp_tests.mutant_cases import toy_spec
from interp_tests.project import COLOR, make_project

HOSTILE = "<script>document.title='owned'</script> <img src=https://example.org/x onerror=alert(1)> red"
CLAIMS = """\
- id: hostile-red
  why: Color words beat what is <b>not</b> a color.
  feature: 267
  fires_more: {prompts: color, than: plain}
- id: plain-red
  feature: 267
  severity: warn
  fires_more: {prompts: plain, than: color}
- id: few
  feature: 731
  severity: warn
  fire_rate: {prompts: color, rate: {at_least: .5}}
"""
CLAIM = "page::hostile-red"
VALUES = """
const set = document.querySelectorAll('[id="page::hostile-red"] .set')[arguments[0]];
return [...set.querySelectorAll('.prompt')].map((box) => [...box.querySelectorAll('.token')].map(
  (one) => [one.textContent, Number(one.dataset.value ?? 0)]));
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A run with three claims, one of its prompts full of markup."""
    made = make_project(tmp_path_factory.mktemp("page"), tmp_path_factory.mktemp("evidence") / "store.sqlite")
    made.suite("page", CLAIMS, prompts={"color": [HOSTILE, *COLOR]})
    done = made.pytest("-q")
    assert "Report: reports/latest/index.html" in done.stdout, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture
def page(browser, project):
    """The page of the run, just opened, with nothing in the logs."""
    view(browser, 1280)
    browser.get_log("browser")
    requests_of(browser)
    browser.get((project.root / "reports/latest/index.html").as_uri())
    return browser


def script(page, code, *arguments):
    return page.execute_script(code, *arguments)


def ids(page):
    """The claims that are shown, in order."""
    return script(page, "return [...document.querySelectorAll('.card:not([hidden])')].map((c) => c.id)")


def key(page, name):
    page.switch_to.active_element.send_keys(name)


def press(page, name):
    from selenium.webdriver.common.by import By

    page.find_element(By.TAG_NAME, "body").send_keys(name)


def focused(page):
    return script(page, "return document.activeElement.closest('.card')?.id ?? document.activeElement.id")


def open_card(page, name=CLAIM):
    script(page, "document.getElementById(arguments[0]).querySelector('summary').click()", name)
    until(lambda: script(page, "return document.getElementById(arguments[0]).querySelectorAll('.set').length", name))


def until(holds):
    """Waits for what the page does after an event; fails where it never does."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "the page never did it"
        time.sleep(0.02)


def codes_of(project, role, monkeypatch, tmp_path):
    """The codes of one role of the claim, from the run's own store."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("INTERP_CACHE", project.env["INTERP_CACHE"])
    spec = next(one for one in load(project.root).items if one.id == CLAIM)
    runner = Runner(Store(project.env["INTERP_STORE"]), RunLog(tmp_path / "log"))
    return runner.evidence(spec).codes(role)


def test_the_page_opens_without_a_word_on_the_console(page):
    """No error, no warning, three claims, worst first."""
    open_card(page)
    assert [entry["message"] for entry in page.get_log("browser")] == []
    assert len(ids(page)) == 3
    assert ids(page)[-1] == CLAIM


def test_no_request_leaves_the_page(page):
    """Opening it and everything in it asks for the file itself only; the log does see a request that is made."""
    script(page, "document.getElementById('all').click()")
    until(lambda: script(page, "return document.querySelectorAll('.set').length") >= 5)
    assert {address.partition(":")[0] for address in requests_of(page)} == {"file"}
    assert len(requests_of(page)) == 0
    page.get("data:text/html,<img src=http://localhost:9/x>")
    assert "http://localhost:9/x" in requests_of(page)


def test_what_a_prompt_says_is_not_done(page):
    """A prompt that closes the script and opens its own shows as text, in card, heat-map and list."""
    open_card(page)
    card = "document.getElementById('page::hostile-red')"
    script(page, f"{card}.querySelector('.set details').open = true")
    until(lambda: script(page, f"return {card}.querySelectorAll('.set tbody tr').length") == 9)
    assert page.title != "owned"
    assert HOSTILE in script(page, f"return {card}.querySelector('.set tbody').textContent")
    assert script(page, "return document.querySelectorAll('img[onerror], .set script').length") == 0
    assert "not <b>not</b>" not in script(page, f"return {card}.innerHTML")
    assert "what is <b>not</b> a color" in script(page, f"return {card}.querySelector('.why').textContent")


@pytest.mark.parametrize(("place", "role"), [(0, "prompts"), (1, "than")])
def test_heat_maps_show_the_values_of_the_store(page, project, place, role, monkeypatch, tmp_path):
    """Every token of the strongest and the weakest prompt has the value that the store has for it, to 4 digits."""
    open_card(page)
    codes = codes_of(project, role, monkeypatch, tmp_path)
    column, known = codes.token_column(267), []
    for row in range(codes.n_prompts):
        places = [t for t in range(codes.n_tokens) if codes.prompt[t] == row]
        known.append([(codes.token[t].strip(), float(column[t])) for t in places])
    shown = script(page, VALUES, place)
    assert len(shown) >= 2 - place  # one where all are silent
    for prompt in shown:
        words = [token for token, _ in prompt]
        match = next(one for one in known if [token for token, _ in one] == words)
        assert [v for _, v in prompt] == pytest.approx([v for _, v in match], rel=1e-3)
    strongest = max(v for _, v in shown[0][1:])
    assert strongest == pytest.approx(max(v for prompt in known for _, v in prompt[1:]), rel=1e-3)
    assert [v for _, v in shown[0]] != pytest.approx([v + 0.1 for _, v in shown[0]], rel=1e-3)


def test_points_are_one_for_every_prompt(page):
    """Both sets, on one axis, with what they say in words for who cannot see them."""
    open_card(page)
    counts = "return [...document.querySelectorAll('.points')].map((one) => one.querySelectorAll('circle').length)"
    assert script(page, counts) == [9, 8]
    said = script(page, "return document.querySelector('.points').getAttribute('aria-label')")
    assert "of 9 prompts, median" in said


def test_the_search_finds_words_of_a_claim(page):
    """Each word narrows; what no claim has leaves none, and says so; Escape brings all back."""
    from selenium.webdriver.common.keys import Keys

    press(page, "/")
    assert focused(page) == "search"
    key(page, "267 beat")
    assert ids(page) == [CLAIM]
    assert script(page, "return document.getElementById('found').textContent") == "1 of 3 claims"
    key(page, " nowhere")
    assert ids(page) == []
    assert script(page, "return document.getElementById('none').hidden") is False
    key(page, Keys.ESCAPE)
    assert len(ids(page)) == 3


def test_tiles_and_lists_filter(page):
    """A tile shows one standing, two show both; the list of kinds narrows further."""
    tile = "document.querySelector('.tile[data-standing=\"met\"]')"
    script(page, f"{tile}.click()")
    assert ids(page) == [CLAIM]
    assert script(page, f"return {tile}.getAttribute('aria-pressed')") == "true"
    script(page, f"{tile}.click()")
    pick = "const list = document.getElementById('kind'); list.value = arguments[0];"
    script(page, pick + "list.dispatchEvent(new Event('input', { bubbles: true }))", "fire_rate")
    assert ids(page) == ["page::few"]


def test_the_order_of_the_files_can_be_had(page):
    """Worst first by default, else as reviewers wrote them."""
    assert ids(page) != [CLAIM, "page::plain-red", "page::few"]
    pick = "const list = document.getElementById('order'); list.value = 'file';"
    script(page, pick + "list.dispatchEvent(new Event('change', { bubbles: true }))")
    assert ids(page) == [CLAIM, "page::plain-red", "page::few"]


def test_claims_are_walked_and_opened_by_keys(page):
    """j and k move, Enter opens; what is typed into the search moves nothing."""
    from selenium.webdriver.common.keys import Keys

    order = ids(page)
    press(page, "j")
    assert focused(page) == order[0]
    key(page, "j")
    assert focused(page) == order[1]
    key(page, "k")
    assert focused(page) == order[0]
    key(page, Keys.ENTER)
    assert script(page, "return document.getElementById(arguments[0]).open", order[0]) is True
    key(page, "/")
    key(page, "jjk")
    assert focused(page) == "search"


def test_an_address_names_a_claim(page, project):
    """A link to a claim opens it, even where it is filtered away."""
    page.get((project.root / "reports/latest/index.html").as_uri() + "#page%3A%3Ahostile-red")
    until(lambda: script(page, "return document.getElementById(arguments[0]).open", CLAIM))
    assert focused(page) == CLAIM


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_sideways_on_a_telephone(page, scheme):
    """At 390 pixels all cards are open and the page is as wide as the window."""
    view(page, 390, scheme=scheme)
    script(page, "document.getElementById('all').click()")
    until(lambda: script(page, "return document.querySelectorAll('.set').length") >= 5)
    assert script(page, "return document.documentElement.scrollWidth") <= 390


def test_the_theme_is_the_systems_until_one_is_chosen(page):
    """Dark where the system is dark; the button overrules it."""
    back = "return getComputedStyle(document.documentElement).backgroundColor"
    light = script(page, back)
    view(page, 1280, scheme="dark")
    assert script(page, back) != light
    script(page, "document.getElementById('theme').click()")
    assert script(page, back) == light


def test_printing_opens_every_card(page):
    """A printed page has all that a card says, and is as before when it is done."""
    shown = "return document.querySelectorAll('.card[open] .set').length"
    script(page, "dispatchEvent(new Event('beforeprint'))")
    assert script(page, shown) >= 5
    script(page, "dispatchEvent(new Event('afterprint'))")
    assert script(page, shown) == 0


def test_every_control_has_a_name_and_every_table_its_headings(page):
    """What a screen reader needs: labels, landmarks, headings in order, scope on header cells."""
    for n, what in ((5, ".set"), (5, ".set table")):
        script(page, "for (const one of document.querySelectorAll('details')) one.open = true")
        until(lambda n=n, what=what: script(page, "return document.querySelectorAll(arguments[0]).length", what) >= n)
    unnamed = "return [...document.querySelectorAll('button, input, select')].filter((c) => !(c.ariaLabel "
    assert script(page, unnamed + "|| c.textContent.trim() && c.tagName === 'BUTTON' || c.labels?.length)).length") == 0
    assert script(page, "return document.querySelectorAll('th:not([scope]), table:not(:has(caption))').length") == 0
    for landmark in ("header", "main", "search"):
        assert script(page, "return document.querySelectorAll(arguments[0]).length", landmark) == 1
    levels = script(page, "return [...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels) if before > 1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (cases.HOSTILE, "\\u202eevil\\u202c zero\\u200bwidth\\nnew"),
        ("a\0b", "a\\x00b"),
        (cases.RTL, cases.RTL),
        (cases.EMOJI, "\U0001f534"),
        ("</script><script>document.title='owned'</script>", "</script><script>"),
    ],
)
def test_a_prompt_that_a_screen_must_survive_is_shown(browser, tmp_path, text, shown):
    """Controls, NUL and zero-width characters are spelled out, other scripts and pictures stand as they are."""
    spec, evidence = toy_spec("fires_more", {}, {"prompts": rows(3, "red ball", red=3), "than": rows(3, "ball")})
    codes = evidence.codes("prompts")
    evidence = replace(evidence, codes_of={("prompts", None): replace(codes, token=(text,) * codes.n_tokens)})
    exhibits = Exhibits()
    exhibits.add(spec, evidence, Verdict(Outcome.MET, "it does", feature=0))
    record = replace(cases.record(cases.with_prompt(text)), id=spec.id, why=text)
    place = tmp_path / "index.html"
    place.write_bytes(page_html(cases.run([record]), exhibits, {}).encode())
    browser.get_log("browser")
    browser.get(place.as_uri())
    open_card(browser, spec.id)
    for where in (".why", ".token"):
        assert shown in script(browser, "return document.querySelector(arguments[0]).textContent", where)
    assert browser.title != "owned"
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_patches_lie_over_the_picture_with_their_values(browser, tmp_path):
    """The picture is shown, small and inside the page, and beside it again with each patch's activation on it."""
    values = [0.0, 2.0, 3.0, 0.0]
    given = {"prompts": [[*((IMAGE, v) for v in values), ("red", 1.0)]], "than": rows(3, "ball")}
    spec, evidence = toy_spec("fires_more", {}, given, tokens="image")
    seen = PromptSet("prompts", (Prompt("red", image=Picture("images/a.png", "d" * 64)),))
    evidence.sets = {**evidence.sets, "prompts": seen}
    exhibits = Exhibits()
    exhibits.add(spec, evidence, Verdict(Outcome.MET, "it does", feature=0))
    drawn = thumbnails(exhibits.pictures, lambda picture: Image.new("RGB", (56, 28), "red"))
    place = tmp_path / "index.html"
    place.write_text(page_html(cases.run([replace(cases.record(cases.MET), id=spec.id)]), exhibits, drawn), "utf-8")
    browser.get(place.as_uri())
    open_card(browser, spec.id)
    patches = "return [...document.querySelectorAll('.patch')].map((one) => Number(one.dataset.value ?? 0))"
    assert script(browser, patches) == values
    widths = "return [...document.querySelectorAll('.picture img')].map((one) => [one.complete, one.naturalWidth])"
    assert script(browser, widths) == [[True, 56], [True, 56]]
    places = "return [...document.querySelectorAll('.patch')].map((p) => [p.offsetLeft, p.offsetTop])"
    (left, top), right, below, across = script(browser, places)
    assert right[0] > left
    assert right[1] == top
    assert below == [left, across[1]]
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_workers_send_what_they_have_to_show(page, project):
    """Under -n 2 the page draws what it draws in one process."""
    read = "return JSON.parse(document.getElementById('data').textContent)"
    alone = script(page, read)
    done = project.pytest("-q", "-n", "2", INTERP_REPORTS=str(project.root / "apart"))
    assert "Report:" in done.stdout, done.stdout + done.stderr
    page.get((project.root / "apart/latest/index.html").as_uri())
    assert script(page, read) == alone
    assert len(alone["cards"]) == 3


def test_without_a_browser_the_tests_say_what_to_install(monkeypatch):
    """A missing Chromium is a failure with the command that mends it, never a skip."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssertionError, match="apt-get install chromium chromium-driver"), chromium():
        pass


def test_results_and_page_say_the_same(page, project):
    """The page's cards are the records of results.json, with the same words for how they stand."""
    outcomes = {r["id"]: r["outcome"] for r in project.results()["records"]}
    stands = "return [...document.querySelectorAll('.card')].map((c) => [c.id, c.dataset.standing])"
    assert {name: standing.split(" ")[0] for name, standing in script(page, stands)} == outcomes
