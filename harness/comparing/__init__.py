"""Two runs held against each other, claim by claim and prompt by prompt."""

from harness.comparing.plain import document
from harness.comparing.runs import Comparison, Pair, compare
from harness.comparing.told import ToldRun, told_run
from harness.comparing.words import lines

__all__ = ["Comparison", "Pair", "ToldRun", "compare", "document", "lines", "told_run"]
