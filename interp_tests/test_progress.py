"""What a person who waits is told: tokens done of all, tokens a second, the time left."""

import os
import pty
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.progress import LOG_EVERY_S, SCREEN_EVERY_S, Meter, Status, Teller
from interp_tests.project import make_project
from interp_tests.test_plugin import FOUND, MET


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("seconds", "done", "said"),
    [
        (0, 0, "0 of 4,000 tokens read"),
        (2, 0, "0 of 4,000 tokens read"),
        (2, 1000, "1,000 of 4,000 tokens read, 500 a second, 6 s left"),
        (100, 100, "100 of 4,000 tokens read, 1 a second, 1 h 05 min left"),
        (100, 1000, "1,000 of 4,000 tokens read, 10 a second, 5 min 00 s left"),
        (10, 4000, "4,000 of 4,000 tokens read, 400 a second, 0 s left"),
    ],
)
def test_a_meter_says_how_far_how_fast_and_how_long(seconds, done, said):
    """Tokens done of the total, the pace since it began, and what is left at that pace."""
    clock = Clock()
    meter = Meter(4000, clock=clock)
    clock.now += seconds
    assert meter.at(done) == said


@given(st.integers(1, 10**9), st.floats(0, 1e6), st.data())
def test_a_meter_never_fails(total, seconds, data):
    """However much of whatever, in whatever time: a line, with the total in it."""
    clock = Clock()
    meter, done = Meter(total, clock=clock), data.draw(st.integers(0, total))
    clock.now += seconds
    assert f"of {total:,} tokens" in meter.at(done)
    assert meter.ended(done).startswith(f"{done:,} tokens read in ")


def test_a_status_is_written_over_and_a_line_stays():
    """On a terminal a status replaces the one before, is dropped where one came just now, and is gone before a line."""
    clock, told = Clock(), []
    teller = Teller(lambda line: told.append(("line", line)), lambda line: told.append(("over", line)), clock)
    for wait, line in ((0, Status("a")), (SCREEN_EVERY_S, Status("b")), (0.1, Status("c")), (0, "d"), (0, "e")):
        clock.now += wait
        teller(line)
    assert told == [("over", "b"), ("over", ""), ("line", "d"), ("line", "e")]


def test_a_log_takes_a_status_now_and_then():
    """Where there is no terminal, every line is there, and a status at most every 15 seconds."""
    clock, told = Clock(), []
    teller = Teller(told.append, None, clock)
    for second in range(61):
        teller(Status(str(second)))
        clock.now += 1
    teller("the end")
    assert told == ["15", "30", "45", "60", "the end"]
    assert LOG_EVERY_S == 15


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("progress")
    project = make_project(root / "repo", root / "store.sqlite")
    project.suite("color", MET, prompts=FOUND)
    return project


def test_a_run_says_how_many_tokens_it_read(project):
    """In a log: the tokens read, at what pace, and no carriage return; a warm run, which reads none, says nothing."""
    cold = project.pytest("-q")
    assert re.search(r"^[\d,]+ tokens read in \d+ s, [\d,]+ a second$", cold.stdout, re.M), cold.stdout
    assert "\r" not in cold.stdout
    assert "a second" not in project.pytest("-q").stdout


def test_on_a_terminal_the_status_leaves_nothing_behind(project):
    """A command on a terminal shows the status over itself, and erases it before what stays."""
    code = (
        "from harness.cli.output import teller; from harness.progress import Status; import time; t = teller();"
        "time.sleep(0.6); t(Status('10 of 20 tokens read')); t('20 tokens read in 1 s')"
    )
    main, other = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stderr=other, check=True, cwd=project.root)
    os.close(other)
    shown = os.read(main, 10_000).decode()
    os.close(main)
    assert done.returncode == 0
    assert shown == "\r\x1b[K10 of 20 tokens read\r\x1b[K20 tokens read in 1 s\r\n"
