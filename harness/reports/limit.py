"""What the reports say of a green suite, and of an invalid run, so that nobody takes either for more."""

LIMIT_OF_A_GREEN_SUITE = (
    "A green suite shows which features go along with which text, on prompts like these and in these subjects only: "
    "correlation, not causation, so it is necessary, never sufficient, for a steering claim."
)
INVALID = "This run is invalid: claims of known truth did not come out as they must, so no verdict of it counts."
