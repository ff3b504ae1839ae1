"""Writing behind: what a sink gets, in which order, and what becomes of its faults."""

import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.capture.behind import PENDING, Behind
from harness.capture.engine import read_model
from harness.errors import EnvironmentFault
from harness.inputs import Reading
from harness.keys import code_key, prompt_key
from harness.running.sinks import StoreSink
from harness.store import Store
from interp_tests.test_capture_reading import PROMPTS
from interp_tests.tiny_random import build_tiny

FULL = EnvironmentFault("store_not_writable", "the disk is full.")


class Noted:
    """A sink that notes its calls, and raises at one of them."""

    def __init__(self, at=None, gate=None):
        self.calls, self.at, self.gate, self.threads = [], at, gate, set()

    def __getattr__(self, name):
        def call(*given):
            if self.gate:
                self.gate.wait(10)
            self.threads.add(threading.get_ident())
            if len(self.calls) == self.at:
                self.at = None
                raise FULL
            self.calls.append((name, *given))

        return call


def give_four(sink, then=None):
    with Behind(sink) as behind:
        for i in range(4):
            behind.codes("key", [i])
        if then is not None:
            raise then


@given(st.lists(st.sampled_from(["codes", "residuals", "weights", "fault", "sums", "promotions"]), max_size=30))
def test_every_call_arrives_in_order_before_the_block_ends(names):
    """As direct calls would, but by one other thread."""
    arguments = {"codes": 2, "residuals": 2, "weights": 2, "fault": 3, "sums": 4, "promotions": 2}
    wanted = [(name, *(f"{i}.{k}" for k in range(arguments[name]))) for i, name in enumerate(names)]
    noted = Noted()
    with Behind(noted) as behind:
        for name, *given_ in wanted:
            getattr(behind, name)(*given_)
    assert noted.calls == wanted
    assert threading.get_ident() not in noted.threads
    assert len(noted.threads) <= 1


def test_the_caller_goes_on_and_waits_when_too_much_is_pending():
    """A slow disk holds up nobody for PENDING batches, and then memory does not fill either."""
    gate = threading.Event()
    noted, told = Noted(gate=gate), []

    def give():
        with Behind(noted) as behind:
            for i in range(PENDING + 3):
                behind.codes("key", [i])
                told.append(i)

    giver = threading.Thread(target=give)
    giver.start()
    giver.join(0.5)
    assert len(told) == PENDING
    gate.set()
    giver.join(10)
    assert len(noted.calls) == len(told) == PENDING + 3


@pytest.mark.parametrize("at", range(4))
def test_a_fault_of_the_sink_is_raised_and_later_batches_are_written(at):
    """By a later call or at the end; never lost, and nothing else is lost for it."""
    noted = Noted(at=at)
    with pytest.raises(EnvironmentFault, match="disk is full"):
        give_four(noted)
    given_ = [call[2][0] for call in noted.calls]
    assert at not in given_
    assert given_ == [i for i in range(4) if i != at][: len(given_)]
    assert len(given_) >= at


def test_what_ends_the_block_is_not_replaced_and_all_is_written():
    """Ctrl-C in a pass: it goes on up, and the batches before it are in the store."""
    noted = Noted()
    with pytest.raises(KeyboardInterrupt):
        give_four(noted, KeyboardInterrupt)
    assert [call[2][0] for call in noted.calls] == [0, 1, 2, 3]


def test_a_store_is_written_from_the_other_thread(tmp_path):
    """Read in this thread afterwards, a store on disk has every row: the connection serves both."""
    tiny = build_tiny(tmp_path / "tiny")
    subject = tiny.subject()
    reading = Reading(subject, code_key(subject), tuple((prompt_key(p), p) for p in PROMPTS))

    class Run:
        store = Store(tmp_path / "store.sqlite")

        def keep(self, put):
            threads.add(threading.get_ident())
            put(self.store)

        log = SimpleNamespace(note_read=lambda code, keys: None)

    threads = set()
    read_model([reading], StoreSink(Run(), [reading]))
    keys = [prompt_key(p) for p in PROMPTS]
    assert set(Run.store.get(reading.code_key, keys)) == set(keys)
    assert threads
    assert threading.get_ident() not in threads
