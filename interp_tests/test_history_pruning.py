"""Which runs reports/runs/ keeps, and how one is named."""

import datetime
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.pruning import Limits, prune
from harness.history.runs import NotARun, results_file, runs_in

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC)


def a_run(reports, days, tail="aaaa", keep=False):
    """A run that began so many days before NOW; its name."""
    name = f"{NOW - datetime.timedelta(days=days):%Y%m%dT%H%M%SZ}-{tail}"
    folder = reports / "runs" / name
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"run": {"id": name}}))
    if keep:
        (folder / "keep").touch()
    return name


def names(reports):
    return [path.name for path in runs_in(reports)]


def make_latest(reports, name):
    (reports / "latest").mkdir(exist_ok=True)
    (reports / "latest/results.json").write_text(json.dumps({"run": {"id": name}}))


def test_the_newest_runs_stay(tmp_path):
    """Beyond the count the oldest go, and they are named, oldest first."""
    made = [a_run(tmp_path, days) for days in (5, 4, 3, 2, 1)]
    assert prune(tmp_path, Limits(runs=3, days=0), NOW) == made[:2]
    assert names(tmp_path) == made[2:]
    assert {path.name for path in (tmp_path / "runs").iterdir()} == set(made[2:])


def test_old_runs_go(tmp_path):
    """After that many days, however few there are; one of exactly that age stays."""
    made = [a_run(tmp_path, days) for days in (91, 90.01, 90, 1)]
    assert prune(tmp_path, Limits(runs=50, days=90), NOW) == made[:2]


def test_latest_and_what_is_marked_stay(tmp_path):
    """A file named keep, and the run that latest/ is a copy of, are stronger than both limits."""
    kept, latest, other = (a_run(tmp_path, days, keep=days == 300) for days in (300, 200, 100))
    make_latest(tmp_path, latest)
    assert prune(tmp_path, Limits(runs=1, days=90), NOW) == [other]
    assert names(tmp_path) == [kept, latest]


def test_what_is_no_run_is_left_alone(tmp_path):
    """A folder or file of another name, however old."""
    for name in ("before-the-merge", "20200101", "20209999T999999Z-aaaa"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs/20200101T000000Z-bbbb").write_text("a file")
    assert prune(tmp_path, Limits(runs=1, days=1), NOW) == []
    assert len(list((tmp_path / "runs").iterdir())) == 4


def test_what_cannot_be_removed_is_not_said_to_be(tmp_path, monkeypatch):
    """A folder that cannot be moved stays whole, for the next time."""
    made = a_run(tmp_path, 100)

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.rename", refuse)
    assert prune(tmp_path, Limits(), NOW) == []
    assert (tmp_path / "runs" / made / "results.json").is_file()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 200), unique=True, max_size=12), st.integers(0, 8), st.integers(0, 150), st.data())
def test_what_stays_is_what_the_limits_say(tmp_path_factory, ages, runs, days, data):
    """For any ages, limits and latest: a run is removed exactly where a limit refuses it and it is not the latest."""
    reports = tmp_path_factory.mktemp("reports")
    made = {age: a_run(reports, age) for age in ages}
    latest = data.draw(st.sampled_from(ages)) if ages else None
    if latest is not None:
        make_latest(reports, made[latest])
    gone = {
        age
        for place, age in enumerate(sorted(ages))
        if age != latest and ((runs and place >= runs) or (days and age > days))
    }
    assert prune(reports, Limits(runs, days), NOW) == [made[age] for age in sorted(gone, reverse=True)]
    assert names(reports) == [made[age] for age in sorted(set(ages) - gone, reverse=True)]


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "٣"])
def test_a_limit_that_is_no_count_is_refused(text):
    """With the name of the setting; a blank one is the default, and 0 does not limit."""
    with pytest.raises(ValueError, match=r"interp_keep_days in pytest\.ini"):
        Limits.of({"interp_keep_days": text})
    assert Limits.of({"interp_keep_days": " "}) == Limits()
    assert Limits.of({"interp_keep_runs": "0"}) == Limits(runs=0)


def test_a_run_is_named_by_the_start_of_its_id(tmp_path):
    """Where it is of one run only; a whole id that is another's start names that one."""
    old, new = a_run(tmp_path, 2, "ab"), a_run(tmp_path, 1, "cd")
    longer = a_run(tmp_path, 1, "cdef")
    reports = tmp_path

    def found(name):
        return results_file(tmp_path, reports, name).parent.name

    assert found(old[:8]) == old
    assert found(new) == new
    assert found(longer) == longer
    with pytest.raises(NotARun, match="the start of 2 runs"):
        found(new[:8])


@pytest.mark.parametrize("name", ["", "nope", "x" * 5000, "\0", "..", "20261121T120000Z-ac"])
def test_an_unknown_run_is_one_message(tmp_path, name):
    """With the newest runs, and the nearest where one is near; whatever the name."""
    made = a_run(tmp_path, 2, "ab")
    with pytest.raises(NotARun) as caught:
        results_file(tmp_path, tmp_path, name)
    assert made in str(caught.value)
    assert len(str(caught.value)) < 500
    assert ("Did you mean" in str(caught.value)) == name.startswith("2026")
