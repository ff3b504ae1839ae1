"""Texts compared by listing their words, word pairs and frames, every two of them."""

from fractions import Fraction


def words(text):
    """Of plain ASCII prose."""
    kept = "".join(" " if c in '.,;:!?"()[]{}-' else c for c in text.lower() if c != "'")
    return kept.split()


def word_pairs(text):
    mine = words(text)
    return {(mine[i], mine[i + 1]) for i in range(len(mine) - 1)} if len(mine) > 1 else {tuple(mine)}


def jaccard(first, second):
    a, b = word_pairs(first), word_pairs(second)
    return Fraction(len([p for p in a if p in b]), len(a) + len([p for p in b if p not in a]))


def but_for_one_word(first, second):
    """Whether one word is exchanged, or one is put in; texts of one word have no frame."""
    a, b = sorted((words(first), words(second)), key=len)
    if len(a) < 2:
        return False
    exchanged = len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) <= 1
    return exchanged or any(b[:i] + b[i + 1 :] == a for i in range(len(b)))


def in_the_same_places(first, second):
    """Two words of three, word by word."""
    a, b = words(first), words(second)
    return len(a) == len(b) > 1 and 3 * sum(x == y for x, y in zip(a, b, strict=True)) >= 2 * len(a)


def clusters(texts):
    """The cluster of each text, numbered in order of appearance: whatever is alike is joined until nothing changes."""
    number = list(range(len(texts)))
    changed = True
    while changed:
        changed = False
        for i, first in enumerate(texts):
            for j, second in enumerate(texts):
                alike = jaccard(first, second) >= Fraction(1, 2) or but_for_one_word(first, second)
                alike = alike or in_the_same_places(first, second)
                if alike and number[j] > number[i]:
                    number[j], changed = number[i], True
    known = {}
    return [known.setdefault(n, len(known)) for n in number]
