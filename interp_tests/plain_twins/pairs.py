"""Word pairs of two texts compared by listing them."""

from fractions import Fraction


def word_pairs(text):
    words = [w.strip(".,;:!?\"'()[]{}") or w for w in text.lower().split()]
    return {(words[i], words[i + 1]) for i in range(len(words) - 1)} if len(words) > 1 else {(words[0],)}


def jaccard(first, second):
    a, b = word_pairs(first), word_pairs(second)
    return Fraction(len([p for p in a if p in b]), len(a) + len([p for p in b if p not in a]))


def near_duplicates(found_on, tested, alike=Fraction(1, 2)):
    """(how many of `tested` are alike, the first of these, the first of `found_on` that is most like it)."""
    near = [t for t in tested if any(jaccard(f, t) >= alike for f in found_on)]
    if not near:
        return 0, None, None
    best = max(jaccard(f, near[0]) for f in found_on)
    return len(near), near[0], next(f for f in found_on if jaccard(f, near[0]) == best)
