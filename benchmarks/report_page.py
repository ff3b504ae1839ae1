"""A run of 1,000 claims: what judging and reporting cost beside pytest itself, and how fast the page opens.

    .venv/bin/python benchmarks/report_page.py [--specs 1000] [--keep FOLDER]

The standard workload is read once, then judged warm. Beside it stands pytest on as many empty parametrised tests, the
two taking turns. Then Chromium opens reports/latest/index.html: milliseconds to its load event, of the frames while it
scrolls to the end 600 pixels a frame, of opening the first card and of a search.
Figures go to benchmarks/results/report_page.json with versions and the machine.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import empty_tests, gate, in_turns, least, write
from workload import write_project


def gate_and_empty(root: Path, n: int) -> dict[str, Any]:
    cold = least([gate(root)])
    times = in_turns(3, {"warm": lambda: gate(root), "empty": lambda: empty_tests(root, n)})
    return {"cold": cold, **{name: least(some) for name, some in times.items()}}


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
    root = asked.keep or Path(tempfile.mkdtemp(prefix="report-page-")) / "project"
    write_project(root, asked.specs)
    figures = {"specs": asked.specs, **gate_and_empty(root, asked.specs)}
    page = root / "reports/latest/index.html"
    figures |= {"page_mb": round(page.stat().st_size / 1e6, 2), "page_ms": best_of(3, page)}
    write("report_page", figures)


if __name__ == "__main__":
    main()
