"""A run under faults: signals, lost workers, no memory, a clock that jumps, no home, no network, no room."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from harness.cachedir import cache_dir, shown
from harness.errors import EnvironmentFault
from interp_tests.command import interruptible
from interp_tests.project import REPO, make_project
from interp_tests.test_plugin import FOUND, MET

# A user that is in no list of users, as in many containers; it may still read the interpreter, wherever that lies.
READS = "+dac_read_search"
DROPPED = (
    "setpriv",
    "--reuid=61234",
    "--regid=61234",
    "--clear-groups",
    f"--inh-caps={READS}",
    f"--ambient-caps={READS}",
)
MORE = MET + "".join(f"- {{id: f{i}, feature: 3, fire_rate: {{prompts: color}}, severity: warn}}\n" for i in range(4))


@pytest.fixture(scope="module")
def warm_store(tmp_path_factory):
    return tmp_path_factory.mktemp("evidence") / "store.sqlite"


@pytest.fixture
def project(tmp_path, warm_store):
    made = make_project(tmp_path / "repo", warm_store)
    made.suite("color", MORE, prompts=FOUND)
    return made


@pytest.fixture
def cold(tmp_path):
    made = make_project(tmp_path / "repo", tmp_path / "cold.sqlite")
    made.suite("color", MORE, prompts=FOUND)
    return made


def conftest(project, code):
    """What the project's own conftest runs, beside the plugin."""
    with (project.root / "conftest.py").open("a") as file:
        file.write("\n" + textwrap.dedent(code))


WAITS = """
import pathlib, time

def pytest_runtest_teardown(item):
    pathlib.Path("judged").touch()
    time.sleep(60)
"""


WAITS_WHILE_IT_READS = """
import pathlib, time
from harness.store import Store

kept = Store.put

def put(self, *args):
    kept(self, *args)
    pathlib.Path("reading").touch()
    time.sleep(10)  # a worker that hears nothing of the signal is waited for

Store.put = put
"""


def interrupted(project, mark, number, *args):
    """What pytest printed, sent a signal once it had made the file `mark`; it ends with exit code 2."""
    env = {**os.environ, **project.env, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    with subprocess.Popen(
        command, cwd=project.root, env=env, stdout=subprocess.PIPE, text=True, preexec_fn=interruptible
    ) as run:
        while not (project.root / mark).exists() and run.poll() is None:
            time.sleep(0.05)
        run.send_signal(number)
        out = run.communicate(timeout=100)[0]
    assert run.returncode == 2, out
    return out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_partial_report_and_is_not_green(project, number):
    """What was judged before is in the report, which says that it is partial; the others are in it as not run."""
    conftest(project, WAITS)
    out = interrupted(project, "judged", number)
    assert project.results()["run"]["partial"] is True
    assert "KeyboardInterrupt" in out
    outcomes = list(project.outcomes().values())
    assert len(outcomes) == 5
    assert 1 <= outcomes.count("not_run") < 5


@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_a_signal_while_a_model_is_read_leaves_a_partial_report(cold, processes):
    """Every selected claim is in it as not run, so that reports/latest is no earlier run; what -k left out is not."""
    family = "- {id: one, feature: 3, family: f, fires_more: {prompts: color, than: plain}}\n"
    cold.suite("family", family, prompts=FOUND)
    conftest(cold, WAITS_WHILE_IT_READS)
    out = interrupted(cold, "reading", signal.SIGINT, "-k", "not f3", *processes)
    run, records = cold.results()["run"], cold.results()["records"]
    ids = [f"color::{name}" for name in ("holds", "f0", "f1", "f2")]
    assert run["partial"] is True
    assert {r["id"]: r["finding"] for r in records} == dict.fromkeys(
        [*ids, "family::one", "family[f]"],
        "interrupted before it was judged",
    )
    assert "6 not judged: interrupted before it was judged" in out
    again = cold.pytest("-q", "--failed-in", "latest", "--collect-only")
    assert "6 of 6 claims failed" in again.stdout


def test_the_handler_of_sigterm_is_given_back():
    """After a run in this process, and where somebody else has one, SIGTERM means what it meant."""
    from harness.plugin.stopping import interrupt_on_sigterm

    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        put_back = interrupt_on_sigterm()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        put_back()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interrupt_on_sigterm()()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


DIES_WITH_THE_LOCK = """
import os
from harness.store import Store

kept = Store.put

def put(self, *args):
    kept(self, *args)
    try:
        os.close(os.open("died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os._exit(9)

Store.put = put
"""


def test_a_worker_that_dies_while_it_reads_holds_up_nobody(cold):
    """Its lock goes with it: another worker reads the rest, the other claims are judged, and the run is red."""
    conftest(cold, DIES_WITH_THE_LOCK)
    done = cold.pytest("-q", "-n", "2")
    assert (cold.root / "died").exists()
    assert done.returncode == 1, done.stdout
    assert "crashed" in done.stdout
    findings = [r["finding"] for r in cold.results()["records"] if r["outcome"] == "not_run"]
    assert findings == ["its process ended before it was judged"]
    assert len(cold.outcomes()) == 5
    assert cold.results()["run"]["partial"] is True


NO_MEMORY = """
import torch
from harness.capture import loaded

real = loaded.decoder_of

class Full(torch.nn.Module):
    def forward(self, **inputs):
        raise torch.OutOfMemoryError("no room")

def decoder_of(model):
    return Full() if model.dtype == torch.bfloat16 else real(model)

loaded.decoder_of = decoder_of
"""


@pytest.mark.slow
def test_out_of_memory_fails_one_subject_only(cold):
    """Claims of the subject that does not fit say so; the others of the same run are judged."""
    subjects = cold.root / "specs/subjects.yaml"
    subjects.write_text(subjects.read_text() + "  large: {model: tiny, sae: tiny, dtype: bfloat16, device: cpu}\n")
    cold.suite("large", MET, subjects="large", prompts=FOUND)
    conftest(cold, NO_MEMORY)
    done = cold.pytest("-q")
    assert done.returncode == 1
    assert cold.outcomes()["large::holds"] == "not_run"
    assert cold.outcomes()["color::holds"] == "met"
    assert "out_of_memory: one text of 12 tokens does not fit" in done.stdout


CLOCK_JUMPS_BACK = """
import time

real, calls = time.time, []

def jumping():
    calls.append(1)
    return real() - 86_400 * 365 - 3_600 * len(calls)

time.time = jumping
"""


@pytest.mark.slow
def test_a_clock_that_jumps_back_changes_no_verdict(cold):
    """Evidence is looked up by content, so a day that comes again neither hides nor renews it."""
    assert cold.pytest("-q").returncode == 0
    before = cold.outcomes()
    conftest(cold, CLOCK_JUMPS_BACK)
    assert cold.pytest("-q").returncode == 0
    assert (cold.outcomes(), cold.results()["capture"]) == (before, {})


def as_nobody(project, **env):
    """pytest as a user without a home folder, who may read every file and write to none that is not open to all.

    Where the tests do not run as root, as their own user, but without HOME.
    """
    full = {k: v for k, v in os.environ.items() if not k.startswith(("INTERP_", "XDG_", "HF_")) and k != "HOME"}
    full |= {"PYTHONPATH": str(REPO), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", **env}
    command = [*(DROPPED if os.geteuid() == 0 else ()), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=project.root, env=full, capture_output=True, text=True, timeout=300)


@pytest.fixture
def read_only():
    """A project whose files and folders are read-only, and a folder beside it that everybody may write to."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        made = make_project(place / "repo", place / "unused.sqlite")
        made.suite("color", MET, prompts=FOUND)
        (place / "open").mkdir()
        (place / "open").chmod(0o777)
        for path in [made.root, *made.root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield made, place / "open"
        for path in [made.root, *made.root.rglob("*")]:
            path.chmod(0o755)


def test_a_read_only_checkout_and_no_home(read_only):
    """Claims are judged; what cannot be kept or written is named, with the way out; with it, the run is green."""
    project, place = read_only
    done = as_nobody(project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "reports_not_written" in done.stdout
    if os.geteuid() == 0:
        assert "no_home: this user has no home folder. Set INTERP_CACHE to a folder." in done.stdout
    done = as_nobody(project, INTERP_CACHE=str(place / "cache"), INTERP_REPORTS=str(place / "reports"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place / "reports/latest/results.json").exists()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    """The cache folder cannot be guessed; INTERP_CACHE names it, and the store's path is shown as it is."""

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("INTERP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(EnvironmentFault, match=r"no_home: .* Set INTERP_CACHE to a folder"):
        cache_dir()
    monkeypatch.setenv("INTERP_CACHE", "/elsewhere")
    assert cache_dir() == Path("/elsewhere")
    assert shown("/elsewhere/evidence.sqlite") == "/elsewhere/evidence.sqlite"


@pytest.fixture
def black_hole():
    """A proxy that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield {name: f"http://127.0.0.1:{server.getsockname()[1]}" for name in ("HTTPS_PROXY", "HTTP_PROXY")}


@pytest.mark.parametrize("offline", ["0", pytest.param("1", marks=pytest.mark.slow)])
def test_without_a_network_nothing_hangs(cold, tmp_path, black_hole, offline):
    """With an empty hub cache: files on this machine are read, and a hub model that is not here is a clear fault."""
    subjects = cold.root / "specs/subjects.yaml"
    text = subjects.read_text().replace("gone: {path: zoo/nowhere}", "gone: {hub: nobody/nothing, revision: unpinned}")
    subjects.write_text(text)
    cold.suite("gone", MET, subjects="gone", prompts=FOUND)
    done = cold.pytest("-q", HF_HOME=str(tmp_path / "hub"), HF_HUB_OFFLINE=offline, **black_hole)
    assert done.returncode == 1, done.stdout + done.stderr
    assert cold.outcomes()["color::holds"] == "met"
    assert cold.outcomes()["gone::holds"] == "not_run"
    assert "weights_missing" in done.stdout
