"""Rows with a digest to match that no store could have written: refused at import, a miss in a store, nothing else."""

import contextlib
import json
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from harness.codes import concat
from harness.errors import EnvironmentFault
from harness.inputs import Prompt, Reading
from harness.promotion import Promotions
from harness.store import MemoryStore
from harness.store.agreement import Widths
from harness.store.database import SAMPLE_KEY, insertion
from harness.store.packing import (
    Damaged,
    pack_codes,
    pack_promotions,
    pack_residuals,
    pack_sums,
    unpack_codes,
    unpack_sums,
)
from harness.store.packs import export_pack
from harness.store.soundness import MOST_FEATURES
from harness.store.unpacking import import_pack
from harness.sums import Part
from interp_tests.project import REPO
from interp_tests.test_hostile_specs import with_this_code
from interp_tests.test_packs import CODE, PARTS, READING, Tiny, filled, rows_of
from interp_tests.test_store import make_codes, make_sums

TOKENS = [f" t{i}" for i in range(5)]
GOOD = {
    "codes": pack_codes(make_codes(0)),
    "residuals": pack_residuals(np.ones((5, 4), np.float32)),
    "sums": pack_sums(replace(make_sums(0, 4), part=np.array([0, 1, 2, 0], np.uint8))),
    "promotions": pack_promotions(Promotions({3: ((" red", 0.5),)}, frozenset({3}), 16)),
    "weights": json.dumps({"decoder": {"w": {"is": "a"}}, "outside": {}, "sae": {}}).encode(),
}


def text(value):
    return np.frombuffer(value if isinstance(value, bytes) else json.dumps(value).encode(), np.uint8)


def put(name, make):
    """An edit of one array."""
    return lambda arrays: {**arrays, name: np.array(make(arrays[name]), order="C")}


def first(value):
    """The first number becomes another."""

    def edited(array):
        changed = array.copy()
        changed.flat[0] = value
        return changed

    return edited


def both(*edits):
    def edited(arrays):
        for edit in edits:
            arrays = edit(arrays)
        return arrays

    return edited


def without(name):
    return lambda arrays: {other: array for other, array in arrays.items() if other != name}


CODES = {
    "token is a number": put("token", lambda a: text(5)),
    "token is null": put("token", lambda a: text(None)),
    "token is a dictionary": put("token", lambda a: text(dict.fromkeys(TOKENS, 1))),
    "tokens are lists": put("token", lambda a: text([[t] for t in TOKENS])),
    "tokens are numbers": put("token", lambda a: text([1, 2, 3, 4, 5])),
    "a token is null": put("token", lambda a: text([*TOKENS[:4], None])),
    "fewer tokens than codes": put("token", lambda a: text(TOKENS[:4])),
    "more tokens than codes": put("token", lambda a: text([*TOKENS, "x"])),
    "tokens are no JSON": put("token", lambda a: text(b"[")),
    "tokens are no UTF-8": put("token", lambda a: text(b'["\xff"]')),
    "tokens without an end": put("token", lambda a: text(b"[" * 40_000)),
    "tokens of tokens": put("token", lambda a: text(b"[" + b"[]," * 200_000 + b"1]")),
    "tokens are wide numbers": put("token", lambda a: a.astype(np.float64)),
    "d_sae is infinite": put("d_sae", lambda a: np.array([np.inf])),
    "d_sae is 0": put("d_sae", lambda a: a * 0),
    "d_sae is below 0": put("d_sae", lambda a: -a),
    "d_sae is 10**15": put("d_sae", lambda a: np.array([10**15])),
    "d_sae is 10**9": put("d_sae", lambda a: np.array([10**9])),
    "d_sae is two": put("d_sae", lambda a: np.array([16, 16])),
    "d_sae has no dimension": put("d_sae", lambda a: np.array(16)),
    "d_sae is empty": put("d_sae", lambda a: a[:0]),
    "d_sae is less than a feature": put("d_sae", lambda a: np.array([3])),
    "indptr is a thousandfold": put("indptr", lambda a: a * 1000),
    "indptr begins late": put("indptr", first(1)),
    "indptr falls": put("indptr", lambda a: a[[0, 2, 1, 3, 4, 5]]),
    "indptr begins below 0": put("indptr", first(-1)),
    "indptr is short": put("indptr", lambda a: a[:-1]),
    "indptr is of fractions": put("indptr", lambda a: a.astype(np.float64)),
    "index is out of range": put("index", lambda a: a + 10**6),
    "index is below 0": put("index", first(-1)),
    "index repeats": put("index", lambda a: a * 0),
    "index is long": put("index", lambda a: np.r_[a, a[-1:]]),
    "index is 64 bits": put("index", lambda a: a.astype(np.int64)),
    "value is short": put("value", lambda a: a[:-1]),
    "value is NaN": put("value", first(np.nan)),
    "value is infinite": put("value", first(np.inf)),
    "value is of two dimensions": put("value", lambda a: a[None]),
    "kind is of two dimensions": put("kind", lambda a: a[None]),
    "kind has no dimension": put("kind", lambda a: a[0]),
    "kind is none": both(put("kind", first(9)), put("kinds", lambda a: np.array([0, 9], np.uint8))),
    "no tokens": lambda arrays: {
        **{name: array[:0] for name, array in arrays.items()},
        "indptr": arrays["indptr"][:1],
        "d_sae": arrays["d_sae"],
        "token": text([]),
    },
    "kinds are others": put("kinds", lambda a: a + 1),
    "kinds are out of range": put("kinds", lambda a: a + 9),
    "kinds repeat": put("kinds", lambda a: a * 0),
    "position is another": put("position", lambda a: a[::-1]),
    "position is short": put("position", lambda a: a[:-1]),
    "start is below -1": put("start", first(-2)),
    "end is before start": put("end", first(-2)),
    "end is long": put("end", lambda a: np.r_[a, a]),
    "token_id is below 0": put("token_id", first(-1)),
    "token_id is a truth": put("token_id", lambda a: a > 3),
    "hh is NaN": put("hh", first(np.nan)),
    "rr is infinite": put("rr", first(-np.inf)),
    "hr is 32 bits": put("hr", lambda a: a.astype(np.float32)),
    "ee is of two dimensions": put("ee", lambda a: a[:, None]),
    "sum_h has no width": put("sum_h", lambda a: a[:, 0]),
    "sum_h is of other kinds": put("sum_h", lambda a: a[:1]),
    "sum_h is NaN": put("sum_h", first(np.nan)),
    "sum_h is of one prompt more": put("sum_h", lambda a: a[None]),
    "sink is 2": put("sink", first(2)),
    "sink is 255": put("sink", lambda a: a + 254),
    "sink is a number": put("sink", lambda a: a.astype(np.int32)),
    "sink is short": put("sink", lambda a: a[:-1]),
    "sink is of two dimensions": put("sink", lambda a: a[None]),
    "one more sink than activations": put("sink", first(1)),
    "no sink, and an activation of one": put("sink", lambda a: a * 0),
    "sink_h is of one sink more": put("sink_h", lambda a: np.r_[a, a]),
    "sink_h is of no sink": put("sink_h", lambda a: a[:0]),
    "sink_h is wide": put("sink_h", lambda a: np.c_[a, a]),
    "sink_h is flat": put("sink_h", lambda a: a.ravel()),
    "sink_h is NaN": put("sink_h", first(np.nan)),
    "sink_h is infinite": put("sink_h", first(np.inf)),
    "sink_h is 64 bits": put("sink_h", lambda a: a.astype(np.float64)),
    "one more array": lambda arrays: {**arrays, "more": arrays["hh"]},
    **{f"no {name}": without(name) for name in ("token", "kind", "index", "sum_h", "d_sae", "hh", "sink", "sink_h")},
}
RESIDUALS = {
    "one dimension": put("residuals", lambda a: a[0]),
    "three dimensions": put("residuals", lambda a: a[None]),
    "64 bits": put("residuals", lambda a: a.astype(np.float64)),
    "NaN": put("residuals", first(np.nan)),
    "no rows": put("residuals", lambda a: a[:0]),
    "no array": without("residuals"),
    "wide and empty": put("residuals", lambda a: np.zeros((5, 0), np.float32).reshape(0, 10**12)),
}
SUMS = {
    "n is short": put("n", lambda a: a[:1]),
    "n is 2**62": put("n", first(2**62)),
    "n and fired are 2**32": both(put("n", first(2**32)), put("fired", first(2**32))),
    "n has no dimension": put("n", lambda a: a[0]),
    "hh is NaN": put("hh", first(np.nan)),
    "l0 is a number": put("l0", lambda a: a.astype(np.int64)),
    "sum_h is flat": put("sum_h", lambda a: a.ravel()),
    "fired is flat": put("fired", lambda a: a.ravel()),
    "fired is below 0": put("fired", first(-1)),
    "fired on more than all tokens": put("fired", first(10**6)),
    "fired is of fractions": put("fired", lambda a: a.astype(np.float64)),
    "no fired": without("fired"),
    "no part": without("part"),
    "part is short": put("part", lambda a: a[:1]),
    "part is a number": put("part", lambda a: a.astype(np.int64)),
    "part is 3": put("part", lambda a: np.array([0, 3, 2, 0], np.uint8)),
    "part is 255": put("part", lambda a: a + 255),
    "part begins with sinks": put("part", lambda a: np.array([1, 2, 0, 0], np.uint8)),
    "part is twice in a block": put("part", lambda a: np.array([0, 1, 1, 0], np.uint8)),
    "part falls in a block": put("part", lambda a: np.array([0, 2, 1, 0], np.uint8)),
    "no blocks": lambda arrays: {name: array[:0] for name, array in arrays.items()},
}
PROMOTIONS = {
    "tokens are a number": put("token", lambda a: text(5)),
    "a list is null": put("token", lambda a: text([None])),
    "a token is a number": put("token", lambda a: text([[5]])),
    "fewer tokens": put("token", lambda a: text([[]])),
    "two lists": put("token", lambda a: text([["a"], ["b"]])),
    "effect is flat": put("effect", lambda a: a.ravel()),
    "feature is out of range": put("feature", lambda a: a + 99),
    "feature is a fraction": put("feature", lambda a: a + 0.5),
    "no feature": put("feature", lambda a: a[:0]),
    "sampled has no list": put("sampled", lambda a: a + 1),
    "d_sae is infinite": put("d_sae", lambda a: np.array([np.inf])),
    "d_sae is 10**15": put("d_sae", lambda a: np.array([10**15])),
    "no effect": without("effect"),
}
WEIGHTS = {
    "a number": b"5",
    "a list": b"[]",
    "a part is a list": b'{"decoder": [], "outside": {}, "sae": {}}',
    "a tensor is a number": b'{"decoder": {"w": 1}, "outside": {}, "sae": {}}',
    "a digest is a number": b'{"decoder": {"w": {"is": 1}}, "outside": {}, "sae": {}}',
    "no part": b"{}",
    "lists without an end": b"[" * 40_000,
    "lists in lists": b"[" + b"[]," * 2**20 + b"1]",
}
NO_SAFETENSORS = {"nothing": b"", "text": b"?" * 99, "half a header": GOOD["codes"][:40], "half": GOOD["codes"][:-9]}
OF_ALL = {"codes": CODES, "residuals": RESIDUALS, "sums": SUMS, "promotions": PROMOTIONS}
NONSENSE = [
    *(pytest.param(t, save(e(load(GOOD[t]))), id=f"{t}: {w}") for t, edits in OF_ALL.items() for w, e in edits.items()),
    *(pytest.param("weights", value, id=f"weights: {what}") for what, value in WEIGHTS.items()),
    *(pytest.param(t, v, id=f"{t}: {w}") for t in OF_ALL for w, v in NO_SAFETENSORS.items() if t != "sums" or v),
]


def store_with(table, value):
    """A store with a row of every table, of which one is this; its checksum is right."""
    store = filled(MemoryStore())
    key = {"codes": "p", "residuals": "p", "sums": "k", "promotions": "sample", "weights": SAMPLE_KEY}[table]
    store.database.write_together([insertion(table, CODE, key, 0 if table == "sums" else None, value)])
    return store


def held(store, table):
    """What a run gets of that row."""
    if table == "weights":
        return store.get_weights(CODE)
    if table == "sums":
        return store.get_sums(CODE, "k")
    key = "sample" if table == "promotions" else "p"
    get = {"codes": store.get, "residuals": store.get_residuals, "promotions": store.get_promotions}[table]
    return get(CODE, [key]).get(key)


def refused(store, tmp_path, **how):
    """The message of the fault at the import of a pack of this store, which leaves the other as it was."""
    export_pack(tmp_path / "nonsense.pack", store, [READING], lambda reading: PARTS)
    other = MemoryStore()
    with pytest.raises(EnvironmentFault) as caught:
        import_pack(tmp_path / "nonsense.pack", other, **how)
    assert (caught.value.code, rows_of(other)) == ("bad_pack", {})
    return caught.value.message


@pytest.mark.parametrize(("table", "value"), NONSENSE)
def test_nonsense_is_refused_and_is_a_miss(tmp_path, table, value):
    """Never another exception, and never evidence."""
    store = store_with(table, value)
    assert "are no evidence" in refused(store, tmp_path)
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert held(store, table) is None
    assert store.damaged == 1


@pytest.mark.parametrize("table", GOOD)
def test_the_rows_that_were_spoilt_are_evidence_as_they_are(tmp_path, table):
    """The cases above are refused for their edit."""
    store = store_with(table, GOOD[table])
    export_pack(tmp_path / "good.pack", store, [READING], lambda reading: PARTS)
    assert import_pack(tmp_path / "good.pack", MemoryStore()).added >= 7
    assert held(store, table) is not None


def test_large_finite_numbers_are_evidence():
    """Their squares are not finite, and they are."""
    arrays = load(GOOD["codes"])
    arrays["value"] = np.full_like(arrays["value"], 3e38)
    arrays["hh"] = np.full_like(arrays["hh"], 1e300)
    assert unpack_codes(save(arrays)).value[0] == np.float32(3e38)


ODD = st.sampled_from([0, 1, -1, 2, 5, 255, 2**31 - 1, -(2**31), 2**62, 0.5, np.nan, np.inf, 1e300])
CHANGES = st.one_of(
    st.tuples(st.just("set"), ODD, st.integers(0, 10**6)),
    st.tuples(st.just("dtype"), st.sampled_from(["f2", "f4", "f8", "i1", "u1", "i4", "i8", "u8", "?"]), st.just(0)),
    st.tuples(st.just("cut"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("shape"), st.sampled_from([(-1, 1), (1, -1), (1, 1, -1)]), st.just(0)),
    st.tuples(st.just("repeat"), st.integers(2, 3), st.just(0)),
    st.tuples(st.just("swap"), st.just(0), st.integers(0, 10**6)),
)


def changed(array, change):
    what, how, at = change
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if what == "dtype":
            return array.astype(how)
        if what == "cut":
            return array[:how]
        if what == "shape":
            return array.reshape(how)
        if what == "repeat":
            return np.repeat(array, how, axis=0)
        new = array.copy()
        if what == "swap":
            new.flat[at % max(new.size, 1) : at % max(new.size, 1) + 2] = new.flat[
                at % max(new.size, 1) : at % max(new.size, 1) + 2
            ][::-1]
        elif new.size:
            with contextlib.suppress(OverflowError, ValueError):
                new.flat[at % new.size] = how
        return new


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(load(GOOD["codes"]))), CHANGES), min_size=1, max_size=3))
def test_whatever_is_changed_is_damaged_or_can_be_judged(edits):
    """Any array of a row changed: it is no row, or it joins and pools with others, finite in every number."""
    arrays = load(GOOD["codes"])
    for name, change in edits:
        arrays[name] = np.ascontiguousarray(changed(arrays[name], change))
    try:
        codes = unpack_codes(save(arrays))
    except Damaged:
        return
    if codes.d_sae != 16:  # a width of its own: told apart at import, by the SAE or by the other rows
        assert 0 < codes.d_sae <= MOST_FEATURES
        return
    if codes.d_in != 4:
        return
    assert len(codes.sink_h) == codes.sink.sum()
    assert np.isfinite(codes.sink_h).all()
    both = concat([codes, make_codes(1)])
    assert both.counted("text", "counted").sum() >= both.counted().sum()
    for pool in ("max", "mean", "last", "any"):
        assert np.isfinite(both.pooled(both.counted(), pool).value).all()
    assert len(both.token) == both.n_tokens
    assert both.token_column(3).shape == (both.n_tokens,)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(load(GOOD["sums"]))), CHANGES), min_size=1, max_size=3))
def test_whatever_is_changed_in_sums_is_damaged_or_can_be_judged(edits):
    """Any array of a corpus's rows changed: they are no rows, or they add up by parts, finite in every number."""
    arrays = load(GOOD["sums"])
    for name, change in edits:
        arrays[name] = np.ascontiguousarray(changed(arrays[name], change))
    try:
        sums = unpack_sums(save(arrays))
    except Damaged:
        return
    assert 0 <= sums.n_tokens <= int(sums.n.sum())
    assert sums.n_sinks >= 0
    for others in ((), (Part.SINK,), (Part.SINK, Part.SPECIAL)):
        rows = sums.counting(*others)
        assert len(rows.n) == sums.n_blocks
        assert all(np.isfinite(getattr(rows, name)).all() for name in ("hh", "ee", "l0", "sum_h"))
        assert (rows.fired >= 0).all()
        assert (rows.fired <= rows.n[:, None]).all()


def test_rows_of_other_widths_than_the_saes_are_refused(tmp_path):
    """Than the SAE of today has under that key; and than the other rows."""
    store = filled(MemoryStore())
    assert "their d_sae is 16, and it is 32" in refused(store, tmp_path, widths={CODE: Widths(None, 32)})
    assert "their d_in is 4, and it is 8" in refused(store, tmp_path, widths={CODE: Widths(8, 16)})
    store.put(CODE, PARTS, [("q", make_codes(1, d_sae=17))])
    assert "their d_sae is 17, and it is 16" in refused(store, tmp_path)
    export_pack(tmp_path / "good.pack", filled(MemoryStore()), [READING], lambda reading: PARTS)
    assert import_pack(tmp_path / "good.pack", MemoryStore(), widths={CODE: Widths(4, 16)}).added == 7


def test_activations_of_another_number_of_tokens_are_refused(tmp_path):
    """Than their codes have in the pack, or in the store that takes them in; without codes they are not exported."""
    store = filled(MemoryStore())
    store.put_residuals(CODE, [("p", np.ones((4, 4), np.float32))])
    assert "they are not those of its tokens" in refused(store, tmp_path)
    export_pack(tmp_path / "good.pack", filled(MemoryStore()), [READING], lambda reading: PARTS)
    other = MemoryStore()
    other.put(CODE, PARTS, [("p", make_codes(0, n_tokens=7))])
    with pytest.raises(EnvironmentFault, match="not those of its tokens"):
        import_pack(tmp_path / "good.pack", other)
    only = Reading(Tiny(), CODE, prompts=(("q", Prompt("b")),), residuals=frozenset({"p"}))
    assert export_pack(tmp_path / "only.pack", filled(MemoryStore()), [only], lambda reading: PARTS).rows == 1


def test_a_list_under_another_features_key_is_refused(tmp_path):
    """The row of feature 4 is that of 4, and the sample's lists were drawn."""
    store = filled(MemoryStore())
    store.put_promotions(CODE, PARTS, [("sample", Promotions({3: ((" red", 0.5),)}, frozenset(), 16))])
    assert "not those of this feature" in refused(store, tmp_path)


HEAD = b'{"format":"interp-specs evidence","layout":1,"code_keys":{},"rows":['
ROW = b'{"table":"codes","code_key":"%s","key":"%s","bytes":0,"sha256":"%s"}' % (b"a" * 64, b"b" * 64, b"c" * 64)
BOMBS = {
    "empty lists, deflated": (zipfile.ZIP_DEFLATED, lambda: HEAD + b"[]," * 22_000_000 + b"[]]}"),
    "empty lists": (zipfile.ZIP_STORED, lambda: HEAD + b"[]," * 22_000_000 + b"[]]}"),
    "depth": (zipfile.ZIP_STORED, lambda: HEAD + b"[" * 60_000_000),
    "one row, 250,000 times": (zipfile.ZIP_STORED, lambda: HEAD + (ROW + b",") * 249_999 + ROW + b"]}"),
    "300,000 rows": (zipfile.ZIP_STORED, lambda: HEAD + b"{}," * 300_000 + b"{}]}"),
    "2,000 code keys": (
        zipfile.ZIP_STORED,
        lambda: json.dumps({**json.loads(HEAD + b"]}"), "code_keys": {str(n): {} for n in range(2000)}}).encode(),
    ),
    "more than 64 MiB": (zipfile.ZIP_STORED, lambda: HEAD + b" " * 2**26 + b"]}"),
}  # fmt: skip
MEASURED = """
import re, sys
from pathlib import Path
from harness.errors import EnvironmentFault
from harness.store import MemoryStore
from harness.store.unpacking import import_pack
try:
    import_pack(Path(sys.argv[1]), MemoryStore())
except EnvironmentFault as fault:
    print(fault.code, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(tmp_path, name):
    """A manifest that would be gigabytes of lists: 600 MB at most, of which Python and numpy are 60."""
    how, make = BOMBS[name]
    with zipfile.ZipFile(tmp_path / "bomb.pack", "w", how) as pack:
        pack.writestr("rows.bin", b"")
        pack.writestr("manifest.json", make())
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "bomb.pack")],
        env=with_this_code(), cwd=REPO, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    code, megabytes = done.stdout.split()
    assert code == "bad_pack"
    assert int(megabytes) < 600
