"""reports/runs/<id>/ and reports/latest/ on a real disk."""

import json
import threading
from pathlib import Path

import pytest

from harness.errors import EnvironmentFault
from harness.reports.write import reports_dir, write_run
from interp_tests import report_cases as cases
from interp_tests.report_cases import record, run

FILES = {"results.json", "results.csv", "summary.md", "index.html"}


def names(folder):
    return {path.name for path in folder.iterdir()}


def latest_id(folder):
    return json.loads((folder / "latest/results.json").read_text())["run"]["id"]


def test_a_run_and_its_copy_are_written(tmp_path):
    """runs/<id>/ and latest/ hold the same four files, and nothing half-made stays."""
    made, folder = run(), tmp_path / "reports"
    assert write_run(made, folder) is None
    assert names(folder) - {".lock"} == {"runs", "latest"}
    assert names(folder / "latest") == names(folder / "runs" / made.id) == FILES
    for name in FILES:
        assert (folder / "latest" / name).read_bytes() == (folder / "runs" / made.id / name).read_bytes()


def test_latest_is_the_last_run_and_the_first_is_kept(tmp_path):
    """latest/ is replaced whole: a stray file in it does not pass for a part of the new report."""
    first, second = run(), run([record(cases.MET)])
    write_run(first, tmp_path)
    (tmp_path / "latest/stray.txt").write_text("old")
    write_run(second, tmp_path)
    assert names(tmp_path / "runs") == {first.id, second.id}
    assert names(tmp_path / "latest") == FILES
    assert latest_id(tmp_path) == second.id


@pytest.mark.parametrize("what", ["link to a folder", "dangling link", "file"])
def test_what_is_not_a_folder_at_latest_is_replaced(tmp_path, what):
    """A link is not followed: what it points to stays as it is."""
    elsewhere = tmp_path / "precious"
    elsewhere.mkdir()
    (elsewhere / "keep.txt").write_text("mine")
    folder = tmp_path / "reports"
    folder.mkdir()
    if what == "file":
        (folder / "latest").write_text("x")
    else:
        (folder / "latest").symlink_to(elsewhere if what == "link to a folder" else tmp_path / "nowhere")
    assert write_run(run(), folder) is None
    assert not (folder / "latest").is_symlink()
    assert names(folder / "latest") == FILES
    assert names(elsewhere) == {"keep.txt"}


def a_file(tmp_path):
    (tmp_path / "reports").write_text("a file where the folder should be")
    return tmp_path / "reports"


def under_proc(tmp_path):
    """A place where not even root may make a folder."""
    return Path("/proc/interp-reports")


@pytest.mark.parametrize("place", [a_file, under_proc])
def test_a_folder_that_cannot_be_written_is_one_fault(tmp_path, place):
    """The fault has its code, names the folder and the way out; it is returned, not raised."""
    folder = place(tmp_path)
    fault = write_run(run(), folder)
    assert isinstance(fault, EnvironmentFault)
    assert fault.code == "reports_not_written"
    assert str(folder) in fault.message
    assert "INTERP_REPORTS" in fault.mend
    assert "\n" not in str(fault)


def test_a_failed_write_leaves_the_last_report(tmp_path, monkeypatch):
    """When the new report cannot be moved into place, the old one is still there and nothing is left over."""
    first = run()
    write_run(first, tmp_path)
    rename = Path.rename

    def full_disk(self, target):
        if self.suffix == ".new" and Path(target).name == "latest":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full_disk)
    fault = write_run(run(), tmp_path)
    assert "No space left on device" in fault.message
    assert latest_id(tmp_path) == first.id
    assert names(tmp_path) == {"runs", "latest", ".lock"}


def test_runs_that_end_together_do_not_mix(tmp_path):
    """Eight writers at once: eight runs, and latest is one of them, whole."""
    made = [run([record(cases.MET, f"s{i}")]) for i in range(8)]
    faults = []
    threads = [threading.Thread(target=lambda one=one: faults.append(write_run(one, tmp_path))) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [None] * 8
    assert names(tmp_path / "runs") == {one.id for one in made}
    assert latest_id(tmp_path) in {one.id for one in made}
    assert names(tmp_path) == {"runs", "latest", ".lock"}


def test_the_folder_can_be_named(tmp_path, monkeypatch):
    """INTERP_REPORTS comes before reports/ in the repository."""
    monkeypatch.delenv("INTERP_REPORTS", raising=False)
    assert reports_dir(tmp_path) == tmp_path / "reports"
    monkeypatch.setenv("INTERP_REPORTS", str(tmp_path / "other"))
    assert reports_dir(tmp_path) == tmp_path / "other"
