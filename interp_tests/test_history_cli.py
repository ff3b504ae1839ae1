"""`interp history`, `interp show` and `interp compare` on real runs of the tiny model."""

import json
import shutil

import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from harness.cli import app
from harness.history.index import INDEX
from harness.history.sparkline import ASCII
from harness.store import Store
from interp_tests.project import COLOR, PLAIN, make_project

CLAIMS = """\
- id: beats
  feature: 267
  fires_more: {prompts: color, than: plain, auroc: {at_least: .75}}
- id: loses
  feature: 267
  fires_more: {prompts: plain, than: color}
- id: rate
  feature: 731
  severity: warn
  fire_rate: {prompts: color, rate: {at_least: .5}}
"""
DEAF = 267  # the feature whose threshold is raised between the runs


def run_specs(made, *args):
    """One run; its id."""
    done = made.pytest("-q", *args)
    assert "Report: reports/latest/index.html" in done.stdout, done.stdout + done.stderr
    return made.results()["run"]["id"]


def raise_threshold(made, value):
    path = made.root / "zoo/sae/sae_weights.safetensors"
    weights = load_file(path)
    threshold = weights["threshold"].copy()
    threshold[DEAF] = value
    save_file({**weights, "threshold": threshold}, path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs alike, one after a claim was edited and one added, and one with another SAE."""
    made = make_project(tmp_path_factory.mktemp("history"), tmp_path_factory.mktemp("evidence") / "store.sqlite")
    suite = made.suite("page", CLAIMS, prompts={"plain": [f"{text[:-1]} again." for text in PLAIN]})  # as long as color
    made.alike = [run_specs(made), run_specs(made)]
    text = suite.read_text().replace("at_least: .75", "at_least: .8").replace(COLOR[0], "A red wall.")
    suite.write_text(text + "  - id: new\n    feature: 267\n    fire_rate: {prompts: color, rate: {at_least: .5}}\n")
    raise_threshold(made, 12.5)
    made.other = run_specs(made)
    return made


@pytest.fixture
def here(runs, monkeypatch):
    monkeypatch.chdir(runs.root)
    monkeypatch.delenv("INTERP_REPORTS", raising=False)
    for name, value in runs.env.items():
        monkeypatch.setenv(name, value)
    return runs


def interp(*args, code=0):
    done = CliRunner().invoke(app, list(args))
    assert done.exit_code == code, done.output
    return done


def test_history_lists_the_runs(here):
    """Id, time, counts by standing and the command, the newest last."""
    lines = interp("history").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["run", *here.alike, here.other]
    assert "1 unmet, 1 unmet (warn), 1 met" in lines[1]
    assert lines[1].endswith("pytest -p no:cacheprovider -q")
    assert len(interp("history", "--limit", "1").stdout.splitlines()) == 2


def test_the_list_is_one_json_document(here):
    """With counts as numbers, and nothing else on standard output."""
    found = json.loads(interp("history", "--json").stdout)
    assert [one["id"] for one in found] == [*here.alike, here.other]
    assert found[0]["counts"] == {"met": 1, "unmet": 1, "unmet (warn)": 1}
    assert found[0]["trouble"] is None


def test_a_trend_says_what_changed(here):
    """A row a run with value, interval and n; the run with another SAE and an edited claim says both."""
    first, head, *rows = interp("history", "beats").stdout.splitlines()
    line = first.removeprefix("page::beats  ")
    assert len(line) == 3
    assert set(line) <= {*ASCII, "?"}
    assert head.split()[0] == "run"
    assert [row.split()[0] for row in rows] == [*here.alike, here.other]
    assert "auroc 1 [0.7556, 1]" in rows[0]
    assert "claim" not in rows[1]
    assert rows[2].endswith("claim, evidence")


def test_a_trend_as_json_has_the_numbers_of_the_runs(here):
    """The values are those of results.json, unrounded."""
    found = json.loads(interp("history", "page::rate", "--json").stdout)
    path = here.root / "reports/runs" / here.alike[0] / "results.json"
    record = next(one for one in json.loads(path.read_text())["records"] if one["id"] == "page::rate")
    assert found["claim"] == "page::rate"
    first = found["runs"][0]
    assert {name: first[name] for name in ("value", "low", "high", "n")} == {
        name: record["measurement"][name] for name in ("value", "low", "high", "n")
    }
    assert [one["changed"] for one in found["runs"]] == [[], [], ["claim", "evidence"]]


def test_a_card_of_the_page_has_the_trend(here):
    """Of the claims that earlier runs judged, too; the first run's page has none."""
    pages = [(here.root / "reports/runs" / run / "index.html").read_text() for run in (*here.alike, here.other)]
    assert [page.count('class="trend"') for page in pages] == [0, 3, 3]
    assert "last 2 runs: 1 throughout, now 1" in pages[1]
    assert "last 3 runs: " in pages[2]


@pytest.mark.parametrize(("name", "says"), [("beast", "Did you mean 'page::beats'?"), ("s", "is the end of 2 ids")])
def test_a_name_that_is_none_is_mended(here, name, says):
    """The nearest claim, or those that end so; exit code 2."""
    assert says in interp("history", name, code=2).stderr


def test_reindexing_changes_nothing_that_is_shown(here):
    """And a damaged file is made anew with a line on standard error, standard output as ever."""
    before = interp("history", "beats").stdout
    assert interp("history", "beats", "--reindex").stdout == before
    for suffix in ("-wal", "-shm"):
        (here.root / "reports" / (INDEX + suffix)).unlink(missing_ok=True)
    (here.root / "reports" / INDEX).write_bytes(b"no database " * 500)
    done = interp("history", "beats")
    assert done.stdout == before
    assert "history.sqlite was damaged" in done.stderr
    assert interp("history", "beats").stderr == ""


def test_a_run_edited_by_hand_is_named_and_left_out(here, tmp_path, monkeypatch):
    """By history, show and compare."""
    shutil.copytree(here.root / "reports", tmp_path / "reports")
    monkeypatch.setenv("INTERP_REPORTS", str(tmp_path / "reports"))
    path = tmp_path / "reports/runs" / here.alike[1] / "results.json"
    before = path.read_text()
    path.write_text(before.replace('"outcome":"unmet"', '"outcome":"met"'))
    assert path.read_text() != before
    done = interp("history", "loses")
    assert here.alike[1] not in done.stdout
    assert f"{here.alike[1]} is left out" in done.stderr
    assert here.alike[1] not in interp("history").stdout
    for command in (("show", here.alike[1]), ("compare", here.alike[0], here.alike[1])):
        assert "not as its run wrote it" in interp(*command, code=2).stderr


def test_show_prints_the_table_that_the_terminal_printed(here):
    """Line for line, with where the page is; by latest, id, the start of one, and path."""
    printed = here.pytest("-q", "-k", "rate").stdout
    shown = interp("show").stdout
    table = shown[shown.index("verdict") : shown.index("Report:")]
    assert table.strip()
    assert table in printed
    assert shown.rstrip().endswith("Report: reports/latest/index.html")
    last = here.results()["run"]["id"]
    for name in (last, last[:-1], f"reports/runs/{last}", f"reports/runs/{last}/results.json"):
        found = interp("show", name).stdout
        assert found.splitlines()[:-1] == shown.splitlines()[:-1]
        assert found.rstrip().endswith(f"Report: reports/runs/{last}/index.html")
    shutil.rmtree(here.root / "reports/runs" / last)


def test_show_gives_the_results_as_they_are(here):
    """The whole document, number for number; a name that is none is one message."""
    path = here.root / "reports/runs" / here.alike[0] / "results.json"
    assert json.loads(interp("show", here.alike[0], "--json").stdout) == json.loads(path.read_text())
    assert "is neither a run" in interp("show", "nope", code=2).stderr


def test_runs_alike_compare_as_alike(here):
    """Nothing flipped, moved, was edited or has another key: exit code 0."""
    done = interp("compare", *here.alike)
    assert done.stdout.splitlines()[1:] == [
        "3 claims in both: 0 flipped, 0 moved beyond noise, 3 as they were; 0 edited; 0 only in the first, "
        "0 only in the second"
    ]


def test_the_last_run_alone_is_compared_with_the_one_before(here):
    """`compare latest` as if both were named; named twice, a run is as itself."""
    last = here.results()["run"]["id"]
    before = max(path.name for path in (here.root / "reports/runs").iterdir() if path.name < last)
    both = CliRunner().invoke(app, ["compare", before, "latest"])
    assert both.stdout.startswith(f"{before} (")
    alone = CliRunner().invoke(app, ["compare", "latest"])
    assert (alone.exit_code, alone.stdout) == (both.exit_code, both.stdout)
    assert interp("compare", "latest", "latest").stdout != both.stdout


def test_without_runs_each_command_says_what_writes_them(tmp_path, monkeypatch):
    """Not a list of no names; and the first run of all has none before it."""
    made = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    monkeypatch.chdir(made.root)
    for command in (("show",), ("show", "nope"), ("compare", "latest")):
        assert "no runs yet: `pytest` writes them to reports/runs/." in interp(*command, code=2).stderr
    made.suite("one", "- {id: a, feature: 267, severity: warn, fire_rate: {prompts: color}}\n")
    run_specs(made)
    assert "is the first that reports/runs/ keeps" in interp("compare", "latest", code=2).stderr
    assert "1 claim in both: 0 flipped" in interp("compare", "latest", "latest").stdout
    assert "is neither a run" in interp("show", "nope", code=2).stderr


def test_compare_pairs_claims_and_prompts(here):
    """What flipped, on which prompts the feature went silent, what was edited and added, and which part of the key."""
    found = json.loads(interp("compare", here.alike[0], here.other, "--json", code=1).stdout)
    claims = {one["id"]: one for one in found["claims"]}
    beats = claims["page::beats"]
    assert (beats["then"], beats["flipped"]) == ("met", True)
    assert (
        "bound at least 0.75 is now at least 0.8" in beats["edited"] or "prompts: 1 added, 1 removed" in beats["edited"]
    )
    assert "prompts: 1 added, 1 removed" in beats["edited"]
    by_role = {one["role"]: one for one in beats["prompts"]}
    assert (by_role["prompts"]["n"], by_role["than"]["n"]) == (7, 8)
    silent = silenced(here)
    assert 0 < len(silent) < 7
    assert by_role["prompts"]["only_then"] == len(silent)
    assert {one["text"] for one in by_role["prompts"]["largest"]} <= set(silent)
    assert [one["now"] for one in by_role["prompts"]["largest"]] == [0.0] * min(3, len(silent))
    assert by_role["prompts"]["mean"] == pytest.approx(-sum(silent.values()) / 7)
    (key,) = found["keys"]
    assert [change["part"] for change in key["changes"]] == ["sae"]
    assert (key["subject"], key["claims"]) == ("tiny", 3)
    assert found["only_now"] == [{"id": "page::new", "is_claim": True}]
    assert found["only_then"] == []


def silenced(made):
    """The prompts in both runs on which the feature's peak lies between the two thresholds, with their peak: from the
    first run's own evidence."""
    document = json.loads((made.root / "reports/runs" / made.alike[0] / "results.json").read_text())
    basis = document["basis"]
    claim, (subject,) = basis["claims"]["page::beats"], basis["subjects"]
    keys = basis["sets"][claim["sets"]["prompts"]]
    found = Store(made.env["INTERP_STORE"], read_only=True).get(subject, keys)
    peaks = [float(one.token_column(DEAF)[one.counted()].max()) for one in found.values()]
    by_text = dict(zip((COLOR[i] for i in order_of(found, made)), peaks, strict=True))
    return {text: peak for text, peak in by_text.items() if 0 < peak <= 12.5 and text != COLOR[0]}


def order_of(found, made):
    """The place of each found prompt in the set."""
    from harness.inputs import Prompt
    from harness.keys import prompt_key

    keys = [prompt_key(Prompt(text)) for text in COLOR]
    return [keys.index(key) for key in found]


def test_compare_says_it_in_words(here):
    """Flips first, with what moved them; the counts last."""
    lines = interp("compare", here.alike[0], here.other, code=1).stdout.splitlines()
    assert lines[1] == "flipped:"
    assert any(line.startswith("  page::beats: met -> ") for line in lines)
    assert any("7 prompts paired" in line for line in lines)
    assert any(line.startswith("  tiny: sae ") for line in lines)
    assert lines[-1].startswith("3 claims in both: ")


def test_without_the_store_compare_says_what_is_missing(here, monkeypatch, tmp_path):
    """Verdicts and keys as ever, since the runs hold them; each prompt as no longer in the store."""
    monkeypatch.setenv("INTERP_STORE", str(tmp_path / "none.sqlite"))
    done = interp("compare", here.alike[0], here.other, code=1)
    assert "prompts: 7 prompts are not in the store under both keys (pruned, or never kept)" in done.stdout
    assert "tiny: sae " in done.stdout
    assert not (tmp_path / "none.sqlite").exists()


def test_old_runs_are_removed_as_a_run_ends(here):
    """By the settings of pytest.ini, in one line; a run with a file named keep stays, and `--prune` does the same."""
    ini = here.root / "pytest.ini"
    text, runs = ini.read_text(), here.root / "reports/runs"
    for name in ("20200101T000000Z-aaaa", "20200102T000000Z-aaaa"):
        shutil.copytree(runs / here.alike[0], runs / name)
    (runs / "20200102T000000Z-aaaa/keep").touch()
    ini.write_text(text + "interp_keep_runs = 5\ninterp_keep_days = 0\n")
    done = here.pytest("-q", "-k", "rate")
    assert "history: removed 1 old run, 20200101T000000Z-aaaa" in done.stdout
    assert (runs / "20200102T000000Z-aaaa").is_dir()
    (runs / "20200102T000000Z-aaaa/keep").unlink()
    ini.write_text(text)
    assert "removed 1 old run, 20200102T000000Z-aaaa" in interp("history", "--prune").stderr
    assert interp("history", "--prune").stderr == ""
    ini.write_text(text + "interp_keep_days = often\n")
    assert "interp_keep_days in pytest.ini is 'often'" in interp("history", "--prune", code=2).stderr
    assert "interp_keep_days in pytest.ini is 'often'" in here.pytest("-q").stderr
    ini.write_text(text)
