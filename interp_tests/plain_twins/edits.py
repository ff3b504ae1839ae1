"""Edits of prompts the slow way: every example that some prompts and edits allow, and which of them fail."""

import itertools


def every_example(language):
    """All (original text, edited text) that a Language can draw: each sequence of choices, tried to its end."""
    found, waiting = {}, [[]]
    while waiting:
        given = waiting.pop()
        asked = []

        def choose(what, ways, given=given, asked=asked):
            asked.append(ways)
            return given[len(asked) - 1] if len(asked) <= len(given) else 0

        drawn = language.draw(choose)
        if drawn is not None:
            found[drawn.original.text, drawn.edited.text] = drawn
        # Branch only behind what was given, so that each sequence is met once.
        for at in range(len(given), len(asked)):
            prefix = given + [0] * (at - len(given))
            waiting += [[*prefix, way] for way in range(1, asked[at])]
    return found


def relation_holds(relation, before, after):
    """(usable, holds, violates) of one example in exact numbers."""
    usable = before != 0 or (relation == "stronger" and after != 0)
    if relation == "keeps_firing":
        holds, violates = after != 0, after == 0
    elif relation == "stops_firing":
        holds, violates = after == 0, after != 0
    else:
        up = after - before if relation == "stronger" else before - after
        holds, violates = up > 0, up < 0
    return usable, usable and holds, usable and violates


def texts_with_one_swap(text, marks, words):
    """A text with each marked span in turn exchanged for each word."""
    return [text[:a] + w + text[b:] for (a, b), w in itertools.product(marks, words) if text[a:b] != w]
