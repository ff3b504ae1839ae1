"""Word pairs of two texts compared by listing them."""

from fractions import Fraction


def word_pairs(text):
    words = [w.strip(".,;:!?\"'()[]{}") or w for w in text.lower().split()]
    return {(words[i], words[i + 1]) for i in range(len(words) - 1)} if len(words) > 1 else {(words[0],)}


def jaccard(first, second):
    a, b = word_pairs(first), word_pairs(second)
    return Fraction(len([p for p in a if p in b]), len(a) + len([p for p in b if p not in a]))
