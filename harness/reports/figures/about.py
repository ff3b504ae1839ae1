"""What a figure is about, in the line over it: both subjects, what they read, how it was counted, and the day."""

from __future__ import annotations

from dataclasses import dataclass

from harness.census import Census
from harness.codes import Specials


@dataclass(frozen=True, slots=True)
class About:
    """base, adapted: the subjects' names; prompts, pictures: what they read, as a spec names it; day: 2026-11-30."""

    base: str
    adapted: str
    prompts: str
    day: str
    pictures: str | None = None
    special_tokens: Specials = "ignored"

    def line(self, census: Census) -> str:
        """Such as `tiny-gemma2 (base) and tiny-paligemma2 (adapted) on 24 prompts of ...`."""
        read = f"{census.conditions['base_text'].prompts:,} prompts of {self.prompts}"
        if "adapted_pictures" in census.conditions:
            read += f" and {census.conditions['adapted_pictures'].prompts:,} pictures of {self.pictures}"
        counted = f"special tokens {self.special_tokens}"
        return f"{self.base} (base) and {self.adapted} (adapted) on {read}; {census.method}, {counted}; {self.day}"
