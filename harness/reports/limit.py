"""What the reports say of a green suite, so that nobody takes it for more."""

LIMIT_OF_A_GREEN_SUITE = (
    "A green suite shows which features go along with which text, on prompts like these and in these subjects only: "
    "correlation, not causation, so it is necessary, never sufficient, for a steering claim."
)
