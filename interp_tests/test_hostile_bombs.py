"""A few lines that would make gigabytes or hours: a mistake instead, in 1.5 GB and a minute of CPU, or read in that."""

import json
import random
import subprocess
import sys

import pytest

from interp_tests.language_root import HEAD, copy_root
from interp_tests.project import REPO
from interp_tests.test_hostile_specs import CLAIM, bounded, with_this_code

N = 1000
WORDS = [f"w{n}" for n in range(100)]


def suite(sets, claims=CLAIM, subjects="small"):
    return f"subjects: [{subjects}]\nprompts:\n  others: prompts/words.yaml#!color\n{sets}{claims}"


def templates(count, **more):
    return "".join(
        f"  s{n}: {json.dumps({'template': [f'{n} {{a}} {{b}}'], 'a': WORDS, 'b': WORDS, **more})}\n"
        for n in range(count)
    )


def edited(edits):
    return f"expect:\n  - {{id: a, feature: 1, holds_under: {{prompts: x, edits: {edits}, relation: keeps_firing}}}}\n"


def laughs():
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 11)]
    return "".join(lines)


def many(count, claim):
    return "expect:\n" + "".join(claim.format(n=n) for n in range(count))


# Text of specs/a.yaml (or a function that writes), and the codes of which one must come; none: it has to end in time.
BOMBS = {
    "billion laughs": (laughs, {"too_many_values", "too_many_aliases"}),
    "quadratic aliases": (lambda: f"a: &a [{'x,' * 2000}]\nb: [{'*a,' * 99}]\n", {"too_many_values"}),
    "quadratic text": (lambda: f"a: &a {'x' * 900_000}\nb: [{'*a,' * 99}]\n", {"unknown_key"}),
    "templates, many sets": (lambda: suite(templates(400) + "  x: [a]\n"), {"too_many_prompts"}),
    "templates, one product": (
        lambda: suite("  x: " + json.dumps({"template": ["{a}{b}{c}{d}{e}"], **dict.fromkeys("abcde", WORDS)}) + "\n"),
        {"too_many_prompts"},
    ),
    "template, long text": (
        lambda: suite("  x: " + json.dumps({"template": ["{a} {b}" + "x" * 500_000], "a": WORDS, "b": WORDS}) + "\n"),
        {"too_large"},
    ),
    "template, long word": (
        lambda: suite("  x: " + json.dumps({"template": ["{a}" * 5000], "a": ["y" * 50_000, "z"]}) + "\n"),
        {"too_large"},
    ),
    "use of use": (
        lambda: suite(templates(3) + f"  x: {{use: [{', '.join(f's{n}' for n in range(3))}]}}\n"),
        {"too_many_prompts"},
    ),
    "one prompt": (lambda: suite(f"  x: [{'x' * 900_000}]\n"), {"too_large"}),
    "spaces inside a prompt": (
        lambda: suite(
            f"  x: {json.dumps(['a' + ' ' * 49_000 + 'b'] * 1)}\n",
            edited("[punctuation]"),
        ),
        set(),
    ),
    "typos of a long prompt": (
        lambda: suite(
            f"  x: {json.dumps(['abcdefgh ' * 5000, 'b'])}\n",
            edited("[typo, case]"),
        ),
        set(),
    ),
    "marks": (lambda: suite("  x: {marks: true, prompts: [" + json.dumps("[[a]]" * 9000) + "]}\n"), {"bad_marks"}),
    "words of an edit": (
        lambda: suite(
            "  x: [a b c]\n",
            edited(json.dumps([{"position": ["It is late."] * 20_000}])),
        ),
        {"bad_value"},
    ),
    "features": (
        lambda: suite(
            "  x: [a]\n",
            CLAIM.replace("feature: 1", "features: " + json.dumps([*range(60_000)])),
            "other",
        ),
        {"too_large", "feature_out_of_range"},
    ),
    "claims on one line": (
        lambda: suite("  x: [a]\n", f"expect: [{(CLAIM.partition('- ')[2].strip() + ', ') * 9000}]\n"),
        {"too_large"},
    ),
    "prompts on one line": (
        lambda: suite("  x: [" + ",".join(f"a{n}" for n in range(90_000)) + "]\n"),
        {"too_many_prompts"},
    ),
    "numbers for prompts": (lambda: suite("  x: [" + "1," * 90_000 + "]\n"), {"not_text"}),
    "unknown keys": (lambda: HEAD + "".join(f"kye{n}: 1\n" for n in range(30_000)), {"unknown_key"}),
    "unknown keys of claims": (
        lambda: suite("  x: [a]\n", many(4000, "  - {{id: a{n}, feture: 1, fires_mor: {{prompts: x}}, kye: 1}}\n")),
        {"unknown_key"},
    ),
    "unknown sets": (
        lambda: suite(
            "".join(f"  set_number_{n}: [a {n}]\n" for n in range(3000)) + "  x: [a]\n",
            many(3000, "  - {{id: a{n}, feature: 1, fires_more: {{prompts: set_numbre_{n}x, than: others}}}}\n"),
        ),
        {"unknown_set"},
    ),
    "names without an end": (
        lambda: suite(
            "".join(f"  {json.dumps(''.join(map(chr, range(0x4E00 + n, 0x9E00 + n))))}: [a]\n" for n in range(4)),
            CLAIM.replace("x,", json.dumps("".join(map(chr, range(0x9E00, 0x4E00, -1)))) + ","),
        ),
        {"bad_name", "yaml_syntax"},
    ),
    "keys without an end": (
        lambda: HEAD + "".join(f"{''.join(map(chr, range(0x9E00 - n, 0x9A20 - n, -1)))}: 1\n" for n in range(256)),
        {"unknown_key"},
    ),
    "a line that is no YAML": (lambda: "- [" + "x  " * 300_000 + "}\n", {"yaml_syntax", "not_text"}),
    "spaces in a line that is no YAML": (lambda: "- @x" + " " * 900_000 + "y\n", {"not_text", "yaml_syntax"}),
    "numbers without an end": (lambda: "a: " + "9" * 900_000 + "\nb: 0x" + "f" * 90_000 + "\n", {"unknown_key"}),
    "a key of JSON": (lambda: ("specs/prompts/a.jsonl", '{"' + "a" * 900_000 + '": 1}\n'), {"unknown_key"}),
    "deep JSON": (lambda: ("specs/prompts/a.jsonl", '{"text": ' + "[" * 100_000 + "}\n"), {"bad_json"}),
    "deep JSON, many lines": (lambda: ("specs/prompts/a.jsonl", ('{"text": ' + "[" * 900 + "\n") * 1000), {"bad_json"}),
    "lines that repeat": (lambda: ("specs/prompts/a.jsonl", '{"text": "a"}\n' * 70_000), {"too_many_prompts"}),
    "100 MB": (lambda: ("specs/a.yaml", None), {"too_large"}),
    "100 MB of prompts": (lambda: ("specs/prompts/a.jsonl", None), {"too_large"}),
    "100 MB of subjects": (lambda: ("specs/subjects.yaml", None), {"too_large"}),
    "100 MB of baselines": (lambda: ("specs/measured/a.yaml", None), {"too_large"}),
}  # fmt: skip


def write(root, made):
    name, text = made if isinstance(made, tuple) else ("specs/a.yaml", made)
    path = root / name
    path.parent.mkdir(exist_ok=True)
    if text is not None:
        path.write_text(text)
        return
    with path.open("wb") as file:
        file.write(b"a: b\n")
        file.truncate(100_000_000)


SLOW = ["unknown sets", "templates, many sets", "use of use", "unknown keys of claims"]  # 10 s and more each
CASES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in BOMBS]


@pytest.mark.parametrize("name", CASES)
def test_a_bomb_is_a_mistake_within_bounds(tmp_path, name):
    """1 MiB at most is read of a file, and what it says cannot be multiplied."""
    make, codes = BOMBS[name]
    root = copy_root(tmp_path)
    write(root, make())
    found = bounded(root)
    assert not codes or codes & set(found["codes"]), found
    assert found["letters"] < 30_000_000


COMMON = "the red ball of the old man that rolled down "
FOUND = json.dumps({"template": ["f {a} {b}"], "a": WORDS, "b": WORDS})


def rates(n):
    bound = "at_most: .2" if n % 2 else "at_least: .8"
    return f"  - {{id: a{n}, feature: 1, fire_rate: {{prompts: x, rate: {{{bound}}}}}}}\n"


def found_and_tested(count, text):
    """A claim that was found on as many prompts as it is tested on, all of them other ones."""
    sets = {name: [text(f"{name}{n}") for n in range(count)] for name in "fx"}
    lines = "".join(f"  {name}: {json.dumps(prompts)}\n" for name, prompts in sets.items())
    return suite(lines, CLAIM.replace("feature: 1,", "feature: 1, discovered_on: f,"))


# What `interp check` prints beside the mistakes, and what is looked up once a claim is judged.
CHECKED = {
    "claims that contradict each other": lambda: suite("  x: [a, b]\n", "expect:\n" + "".join(map(rates, range(5000)))),
    "claims that were found on many prompts": lambda: suite(
        f"  f: {FOUND}\n  x: [a]\n",
        many(600, "  - {{id: a{n}, feature: 1, discovered_on: f, fires_more: {{prompts: x, than: others}}}}\n"),
    ),
    "claims that were found on many prompts, tested on many": lambda: suite(
        f"  f: {FOUND}\n" + templates(5),
        many(1500, "  - {{id: a{n}, feature: 1, discovered_on: f, fires_more: {{prompts: s1, than: s2}}}}\n"),
    ),
    "prompts that begin alike": lambda: found_and_tested(
        3000, lambda name: f"{COMMON}{name} " + " ".join(f"{name}{letter}" for letter in "abcdefghijkl")
    ),
    "prompts of ten words": lambda: found_and_tested(
        9000, lambda name: " ".join(random.Random(name).choices("abcdefghij", k=20))
    ),
}  # fmt: skip
CHECK = """
import contextlib, io, json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from pathlib import Path
from typer.testing import CliRunner
from harness.cli import app
from harness.judging import warnings_of
from harness.language.specs import load
with contextlib.chdir(sys.argv[1]):
    said = CliRunner().invoke(app, ["check", "specs/a.yaml"]).stdout
    warned = [len(warnings_of(spec)) for spec in load(Path.cwd(), [Path("specs/a.yaml")]).items]
print(json.dumps({"letters": len(said), "last": said.splitlines()[-1], "judged": len(warned)}))
"""


@pytest.mark.parametrize("name", CHECKED)
def test_claims_that_multiply_are_checked_within_bounds(tmp_path, name):
    """Claims, each of them right, are looked at once a claim or once a set, not once a pair."""
    root = copy_root(tmp_path)
    write(root, CHECKED[name]())
    command = [sys.executable, "-c", CHECK, str(root)]
    done = subprocess.run(
        command, env=with_this_code(), cwd=REPO, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert " 0 mistakes" in found["last"]
    assert found["judged"] >= 1
    assert found["letters"] < 2_000_000
