"""Units, templates, marks and tokens, looked at one by one."""


def unit_means(values, groups):
    """The mean of each template's values, in order of appearance; a prompt without one is a unit of its own."""
    units = {}
    for i, (value, group) in enumerate(zip(values, groups, strict=True)):
        units.setdefault(("own", i) if group is None else ("shared", group), []).append(value)
    return [sum(v) / len(v) for v in units.values()]


def within_prompt(tokens, marks):
    """tokens: (start, end, value, counted). Marked spans as units (their max) against each unmarked counted token."""
    marked, unmarked = [], []
    for span_start, span_end in marks:
        inside = [v for s, e, v, c in tokens if c and s >= 0 and s < span_end and e > span_start]
        if inside:
            marked.append(max(inside))
    for s, e, v, c in tokens:
        if c and not any(s >= 0 and s < end and e > start for start, end in marks):
            unmarked.append(v)
    return marked, unmarked


def strongest(tokens, values, n):
    """The n distinct tokens with the highest maximum, only where it is over 0; ties in alphabetical order."""
    best = {}
    for token, value in zip(tokens, values, strict=True):
        best[token] = max(best.get(token, 0.0), value)
    firing = [(t, v) for t, v in best.items() if v > 0]
    return sorted(firing, key=lambda pair: (-pair[1], pair[0]))[:n]
