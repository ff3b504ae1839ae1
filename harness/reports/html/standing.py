"""How a claim stands, as a reader sees it without colours: a sign and a word."""

from __future__ import annotations

SIGNS = {
    "broken": "!",
    "not run": "–",
    "unmet": "✕",
    "inconclusive": "?",
    "met unexpectedly": "✕",
    "unmet (warn)": "✕",
    "inconclusive (warn)": "?",
    "unmet as expected": "✓",
    "met": "✓",
}
TONES = {
    "broken": "bad",
    "not run": "off",
    "unmet": "bad",
    "inconclusive": "unsure",
    "met unexpectedly": "bad",
    "unmet (warn)": "warn",
    "inconclusive (warn)": "warn",
    "unmet as expected": "good",
    "met": "good",
}
