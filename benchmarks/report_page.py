"""A run of 1,000 claims: what judging and reporting cost beside pytest itself, and how fast the page opens.

    .venv/bin/python benchmarks/report_page.py [--specs 1000] [--keep FOLDER]

A generated suite on tiny-gemma2 (claims of four kinds over the eight categories of specs/prompts) is read once, then
judged warm. Beside it stands pytest on as many empty parametrised tests, the two taking turns. Then
Chromium opens reports/latest/index.html: milliseconds to its load event, of the frames while it scrolls to the end
600 pixels a frame, of opening the first card and of a search.
Figures go to benchmarks/report_page.json with versions and the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The feature of tiny-gemma2's SAE that ranks first for a category on specs/prompts/discovery.yaml.
FEATURES = {"color": 267, "number": 731, "animal": 407, "object": 88, "action": 727, "code": 196}
PER_SUITE = 100
HEAD = "title: generated {n}\nsubjects: [tiny-gemma2]\nexpect:\n"
SETS = "prompts: prompts/categories.yaml#{a}"
CLAIMS = (
    "fires_more: {{" + SETS + ', than: "prompts/categories.yaml#!{a}", auroc: {{at_least: {bound}}}}}',
    "fire_rate: {{" + SETS + ", rate: {{at_least: {bound}}}}}",
    "silent_on: {{prompts: prompts/categories.yaml#{b}, but_fires_on: prompts/categories.yaml#{a}}}",
    "activation: {{" + SETS + ", median: {{at_least: {bound}}}}}",
)
EMPTY = "import pytest\n\n@pytest.mark.parametrize('i', range({n}))\ndef test_nothing(i):\n    pass\n"


def write_project(root: Path, n: int) -> None:
    """A checkout with nothing but generated claims, each a warning at worst, so that pytest formats no failure."""
    (root / "interp_tests").mkdir(parents=True)
    for name in ("conftest.py", "pytest.ini", "interp_tests/test_specs.py"):
        shutil.copy(ROOT / name, root / name)
    (root / "specs/generated").mkdir(parents=True)
    shutil.copy(ROOT / "specs/subjects.yaml", root / "specs")
    without_pictures = shutil.ignore_patterns("pictures.yaml")
    shutil.copytree(ROOT / "specs/prompts", root / "specs/prompts", ignore=without_pictures)
    (root / "harness").symlink_to(ROOT / "harness")
    for first in range(0, n, PER_SUITE):
        claims = [claim(i) for i in range(first, min(n, first + PER_SUITE))]
        text = HEAD.format(n=first) + "\n".join(claims)
        (root / f"specs/generated/s{first:04}.yaml").write_text(text, encoding="utf-8")


def claim(i: int) -> str:
    """The i-th claim: kinds and categories take turns, and no two bounds are alike."""
    names = list(FEATURES)
    a, b = names[i % len(names)], names[(i + 3) % len(names)]
    kind = CLAIMS[(i // len(names)) % len(CLAIMS)].format(a=a, b=b, bound=round(0.4 + i / 5000, 4))
    return f"  - id: claim-{i:04}\n    feature: {FEATURES[a]}\n    severity: warn\n    {kind}\n"


def timed(command: list[str], cwd: Path, **env: str) -> dict[str, float]:
    """Wall and processor seconds of one command; ends the benchmark where it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-1000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}


def in_turns(times: int, **runs: Callable[[], dict[str, float]]) -> dict[str, dict[str, float]]:
    """The least of each figure over `times` rounds; the runs take turns, since other work comes and goes."""
    rounds = [{name: run() for name, run in runs.items()} for _ in range(times)]
    return {name: {key: min(r[name][key] for r in rounds) for key in ("wall_s", "cpu_s")} for name in runs}


def gate_and_empty(root: Path, n: int) -> dict[str, Any]:
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    env = {"INTERP_STORE": str(root / "store.sqlite"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    empty = root / "empty"
    empty.mkdir()
    (empty / "test_empty.py").write_text(EMPTY.format(n=n), encoding="utf-8")
    (empty / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    cold = timed(pytest, root, **env)
    warm = in_turns(5, warm=lambda: timed(pytest, root, **env), empty=lambda: timed(pytest, empty))
    return {"cold": cold, **warm, "warm_over_empty": round(warm["warm"]["cpu_s"] / warm["empty"]["cpu_s"], 2)}


OPEN = """const done = arguments[0], n = performance.getEntriesByType('navigation')[0];
const paint = performance.getEntriesByName('first-contentful-paint')[0];
done([n.domContentLoadedEventEnd, n.loadEventEnd, paint ? paint.startTime : null]);"""
SCROLL = """const done = arguments[0], frames = []; let last = performance.now();
function step(now) {
  frames.push(now - last); last = now; scrollBy(0, 600);
  if (scrollY + innerHeight < document.documentElement.scrollHeight - 1) requestAnimationFrame(step);
  else {
    frames.shift(); frames.sort((a, b) => a - b);
    done([frames.length, frames[frames.length >> 1], frames.at(-1)]);
  }
}
requestAnimationFrame(step);"""
FILTER = """const began = performance.now(), box = document.getElementById('search');
box.value = 'fires_more color'; box.dispatchEvent(new Event('input', { bubbles: true }));
document.body.offsetHeight; return performance.now() - began;"""
CARD = """const done = arguments[0], began = performance.now(), card = document.querySelector('.card');
card.addEventListener('toggle', () => requestAnimationFrame(() => done(performance.now() - began)), { once: true });
card.open = true;"""


def opened(page: Path) -> dict[str, float]:
    """Milliseconds from the click to what a reader sees, in a browser without a screen; the page is opened once."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        began = time.perf_counter()
        browser.get(page.as_uri())
        wall = (time.perf_counter() - began) * 1000
        parsed, loaded, painted = browser.execute_async_script(OPEN)
        frames, median, worst = browser.execute_async_script(SCROLL)
        found = {"wall": wall, "dom": parsed, "load": loaded, "first_paint": painted, "frame_median": median}
        found |= {"frame_worst": worst, "frames": frames, "first_card": browser.execute_async_script(CARD)}
        return {name: round(value, 1) for name, value in {**found, "search": browser.execute_script(FILTER)}.items()}
    finally:
        browser.quit()


def best_of(times: int, page: Path) -> dict[str, float]:
    rounds = [opened(page) for _ in range(times)]
    return {name: min(one[name] for one in rounds) for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--specs", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="make the project here, and leave it")
    asked = parser.parse_args()
    root = asked.keep or Path(tempfile.mkdtemp(prefix="report-page-"))
    write_project(root, asked.specs)
    figures = {"specs": asked.specs, **gate_and_empty(root, asked.specs)}
    print(json.dumps(figures, indent=1))
    page = root / "reports/latest/index.html"
    figures |= {"page_mb": round(page.stat().st_size / 1e6, 2), "page_ms": best_of(3, page)}
    print(json.dumps(figures["page_ms"], indent=1))
    versions = {name: version(name) for name in ("pytest", "jinja2", "selenium")}
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
    document = {"figures": figures, "versions": versions, "machine": machine}
    (ROOT / "benchmarks/report_page.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
