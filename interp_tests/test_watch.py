"""`interp check --watch`: a save is answered, and Ctrl-C ends it with 130."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading

import pytest

from harness.cli.watching import changes, stamps
from interp_tests.command import interruptible
from interp_tests.language_root import HEAD, copy_root
from interp_tests.project import REPO

RIGHT = HEAD + "expect:\n  - {id: a, feature: 1, severity: warn, fires_more: {prompts: color, than: others}}\n"
WRONG = RIGHT.replace("fires_more", "fires_mor")
PATIENCE_S = 60  # how long a test waits before it says that nothing came; not how long an answer takes


class Watching:
    """A real `interp check --watch`, its lines read as they come."""

    def __init__(self, root, *args):
        env = {**os.environ, "PYTHONPATH": str(REPO)}
        command = [sys.executable, "-m", "harness", "check", "--watch", *args]
        self.process = subprocess.Popen(
            command,
            cwd=root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interruptible,
        )
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout], daemon=True).start()

    def until(self, start):
        """The lines up to the first that begins so (or so)."""
        seen = []
        while not seen or not seen[-1].startswith(start):
            seen.append(self.lines.get(timeout=PATIENCE_S))
        return "".join(seen)

    def stop(self):
        """What Ctrl-C does: the exit code, and what was said on standard error."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE_S), self.process.stderr.read()


@contextlib.contextmanager
def watching(root, *args):
    found = Watching(root, *args)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()


@pytest.fixture
def root(tmp_path):
    copy_root(tmp_path)
    (tmp_path / "specs/mine.yaml").write_text(RIGHT)
    return tmp_path


def test_a_save_is_answered_and_ctrl_c_ends_it(root):
    """ok; broken and saved: the message with its place; mended and saved: ok again; interrupted: a line, and 130."""
    path = root / "specs/mine.yaml"
    with watching(root, "specs/mine.yaml") as it:
        assert "1 spec read, 0 mistakes\nok\n" in it.until("ok")
        path.write_text(WRONG)
        seen = it.until("not ok (exit code 2)")
        assert "specs/mine.yaml:6:41: unknown_kind: 'fires_mor' is no kind of claim. Did you mean 'fires_more'?" in seen
        path.write_text(RIGHT)
        assert "0 mistakes" in it.until("ok")
        assert it.stop() == (130, "interp: interrupted\n")


def test_a_set_that_a_suite_uses_is_watched_too(root):
    """The suite did not change, and yet it is wrong: its set is gone."""
    shared = root / "specs/prompts/words.yaml"
    with watching(root, "specs/mine.yaml") as it:
        it.until("ok")
        shared.write_text(shared.read_text().replace("color:", "colour:"))
        assert "has no set 'color'" in it.until("not ok")


def test_of_all_specs_the_saved_suite_comes_first(root):
    """The saved suite's own answer stands before that of all of specs/."""
    with watching(root) as it:
        it.until(("ok", "not ok"))
        (root / "specs/mine.yaml").write_text(WRONG)
        assert "1 mistake\n" in it.until("not ok")
        assert it.until("not ok").startswith("all of specs/: ")


def test_json_is_one_document_a_line(root):
    """Each answer is a line that a program can read."""
    with watching(root, "specs/mine.yaml", "--json") as it:
        assert json.loads(it.until("[")) == []
        (root / "specs/mine.yaml").write_text(WRONG)
        assert [one["code"] for one in json.loads(it.until("["))] == ["unknown_kind"]


def test_every_change_is_seen_once_and_rest_is_not_one(tmp_path):
    """Made, saved with the same size, and removed; a folder that is gone has no files."""
    (tmp_path / "below").mkdir()
    path = tmp_path / "below/a.yaml"
    found = changes([tmp_path], poll_s=0)
    path.write_text("1")
    assert next(found) == [str(path)]
    path.write_text("2")
    os.utime(path, ns=(1, 1))
    assert next(found) == [str(path)]
    path.unlink()
    assert next(found) == [str(path)]
    assert stamps([tmp_path, tmp_path / "gone"]) == {}
