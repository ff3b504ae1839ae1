"""The same tokens in two models: sums over pairs of activations, and their ratios, for all features at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Floats
from harness.stats.firing import token_of_entry
from harness.stats.transfer.conditions import Condition

Ints = NDArray[np.int64]


class Misaligned(ValueError):
    """Two models that did not read the same tokens: prompt is the row, place the number of the counted token in it,
    tokens what each read there (None where its prompt has ended)."""

    def __init__(self, prompt: int, place: int, tokens: tuple[str | None, str | None]) -> None:
        self.prompt, self.place, self.tokens = prompt, place, tokens
        super().__init__(
            f"counted token {place} of prompt {prompt} is {tokens[0]!r} in one model, {tokens[1]!r} in the other"
        )


@dataclass(frozen=True, slots=True)
class Pairs:
    """Counted tokens that both models read, [n]: the token in the base's codes and in the adapted's."""

    base: Ints
    adapted: Ints


@dataclass(frozen=True, slots=True)
class PairSums:
    """Sums over n pairs of activations x (base) and y (adapted), per feature, [d_sae], or per unit and feature,
    [n_units, d_sae] with n [n_units, 1]; additive over tokens.

    kx, ky, kxy: pairs on which x, y, both fire. smaller, larger: sums of min(x, y) and max(x, y).
    """

    n: int | Ints
    sx: Floats
    sy: Floats
    sxx: Floats
    syy: Floats
    sxy: Floats
    kx: Floats
    ky: Floats
    kxy: Floats
    smaller: Floats
    larger: Floats

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: PairSums) -> PairSums:
        return PairSums(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    @classmethod
    def zero(cls, d_sae: int) -> PairSums:
        """The sums over no pairs."""
        return cls(0, *(np.zeros(d_sae) for _ in fields(cls)[1:]))

    def of(self, part: slice) -> PairSums:
        """The sums of some features."""
        return PairSums(self.n, *(getattr(self, f.name)[part] for f in fields(self)[1:]))

    def jaccard(self) -> Floats:
        """Tokens on which both fire over tokens on which either does; NaN where neither ever does."""
        return _ratio(self.kxy, self.kx + self.ky - self.kxy)

    def overlap(self) -> Floats:
        """Jaccard of activations: sum of min over sum of max; NaN where both are silent."""
        return _ratio(self.smaller, self.larger)

    def pearson(self) -> Floats:
        """Pearson's r over all pairs, silent ones too; NaN where x or y does not vary."""
        vx, vy = (self.n * ss - s**2 for ss, s in ((self.sxx, self.sx), (self.syy, self.sy)))
        moves = (vx > 1e-12 * self.n * self.sxx) & (vy > 1e-12 * self.n * self.syy)
        r = _ratio(self.n * self.sxy - self.sx * self.sy, np.where(moves, np.sqrt(np.maximum(vx * vy, 0)), 0))
        return np.clip(r, -1, 1)


@dataclass(frozen=True, slots=True)
class Scale:
    """Per feature, [d_sae]: the mean over n units of log(y / x) where both fire, its t limits; NaN where never.

    low, high: each one-sided at 1 - alpha, so that between them lie 1 - 2 alpha: two one-sided tests.
    """

    mean: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]


def aligned_tokens(base: Condition, adapted: Condition) -> Pairs:
    """The counted tokens of both in order: the k-th of a prompt with the k-th, wherever specials stand.

    Raises Misaligned at the first token that is not the same in both, by its id.
    """
    first, second = np.flatnonzero(base.counted), np.flatnonzero(adapted.counted)
    a, b = base.codes, adapted.codes
    n = min(len(first), len(second))
    x, y = first[:n], second[:n]
    unlike = np.flatnonzero((a.prompt[x] != b.prompt[y]) | (a.token_id[x] != b.token_id[y]))
    if len(unlike) or len(first) != len(second):
        raise _misaligned(base, adapted, first, second, int(unlike[0]) if len(unlike) else n)
    return Pairs(first, second)


def _misaligned(base: Condition, adapted: Condition, first: Ints, second: Ints, at: int) -> Misaligned:
    """The place where the two part: the prompt that has it, and its number among that prompt's counted tokens."""
    rows = [int(c.codes.prompt[t[at]]) for c, t in ((base, first), (adapted, second)) if at < len(t)]
    row = min(rows)
    place = at - int((base.codes.prompt[first] < row).sum())
    tokens = [_token_at(c.codes, t, at, row) for c, t in ((base, first), (adapted, second))]
    return Misaligned(row, place, (tokens[0], tokens[1]))


def _token_at(codes: Codes, tokens: Ints, at: int, row: int) -> str | None:
    return codes.token[tokens[at]] if at < len(tokens) and codes.prompt[tokens[at]] == row else None


@dataclass(frozen=True, slots=True)
class _Entries:
    """Kept values on pairs: key = pair x d_sae + feature, unique; value fp64."""

    key: Ints
    value: Floats


def pair_sums(base: Condition, adapted: Condition, pairs: Pairs) -> PairSums:
    """The sums of every feature over these pairs."""
    d_sae = base.codes.d_sae

    def total(key: Ints, values: Floats | None = None) -> Floats:
        return np.bincount(key % d_sae, weights=values, minlength=d_sae).astype(np.float64)

    return _summed(_entries(base.codes, pairs.base), _entries(adapted.codes, pairs.adapted), total, len(pairs.base))


def sums_of_units(base: Condition, adapted: Condition, pairs: Pairs, part: slice) -> PairSums:
    """The sums of each unit by itself, [n_units, features of `part`]; a prompt that is no unit's own has none."""
    d_sae, units = base.codes.d_sae, base.n_units
    unit = base.unit[base.codes.prompt[pairs.base]]
    width = part.stop - part.start

    def within(entries: _Entries) -> _Entries:
        feature = entries.key % d_sae
        use = (feature >= part.start) & (feature < part.stop) & (unit[entries.key // d_sae] >= 0)
        return _Entries(entries.key[use], entries.value[use])

    def total(key: Ints, values: Floats | None = None) -> Floats:
        at = unit[key // d_sae] * width + key % d_sae - part.start
        return np.bincount(at, weights=values, minlength=units * width).astype(np.float64).reshape(units, width)

    n = np.bincount(unit[unit >= 0], minlength=units)[:, None]
    x, y = (within(_entries(one.codes, tokens)) for one, tokens in ((base, pairs.base), (adapted, pairs.adapted)))
    return _summed(x, y, total, n)


def _summed(x: _Entries, y: _Entries, total: Callable[..., Floats], n: int | Ints) -> PairSums:
    both, in_x, in_y = np.intersect1d(x.key, y.key, assume_unique=True, return_indices=True)
    vx, vy = x.value[in_x], y.value[in_y]
    sx, sy = total(x.key, x.value), total(y.key, y.value)
    # One side silent: min is 0 and max the other's value, which must then be 0 or more.
    smaller = total(both, np.minimum(vx, vy))
    return PairSums(
        n=n,
        sx=sx,
        sy=sy,
        sxx=total(x.key, x.value**2),
        syy=total(y.key, y.value**2),
        sxy=total(both, vx * vy),
        kx=total(x.key),
        ky=total(y.key),
        kxy=total(both),
        smaller=smaller,
        larger=sx + sy - smaller,
    )


def scale_of_all(base: Condition, adapted: Condition, pairs: Pairs, alpha: float, limits: bool = True) -> Scale:
    """How much stronger each feature is in the adapted model, as a mean log ratio over units with t limits.

    Tokens are averaged inside a prompt, prompts inside a template. limits False: the mean stands for its own limits.
    """
    d_sae, (feature, value) = base.codes.d_sae, log_ratios(base, adapted, pairs)
    n, mean = mean_of_values(feature, value, d_sae)
    return t_limits(n, mean, squares_of_values(feature, value, mean), alpha, limits)


def log_ratios(base: Condition, adapted: Condition, pairs: Pairs) -> tuple[Ints, Floats]:
    """(feature, mean of log(y / x) over a unit's pairs where both fire) of each unit and feature that has some, [n]."""
    d_sae = base.codes.d_sae
    x, y = _entries(base.codes, pairs.base), _entries(adapted.codes, pairs.adapted)
    both, in_x, in_y = np.intersect1d(x.key, y.key, assume_unique=True, return_indices=True)
    pair, feature = np.divmod(both, d_sae)
    row = base.codes.prompt[pairs.base[pair]].astype(np.int64)
    value = np.log(y.value[in_y] / x.value[in_x])
    rows, units = base.codes.n_prompts, base.n_units
    by_prompt, value = _means(feature * rows + row, value)
    feature, row = np.divmod(by_prompt, rows)
    by_unit, value = _means(feature * max(units, 1) + base.unit[row], value)
    return by_unit // max(units, 1), value


def mean_of_values(feature: Ints, value: Floats, d_sae: int) -> tuple[Ints, Floats]:
    """(how many values each feature has, their mean), [d_sae]; NaN for none."""
    n = np.bincount(feature, minlength=d_sae)
    total = np.asarray(np.bincount(feature, weights=value, minlength=d_sae), np.float64)
    return n, _ratio(total, np.asarray(n, np.float64))


def squares_of_values(feature: Ints, value: Floats, mean: Floats) -> Floats:
    """The sum of squared distances of each feature's values from its mean, [d_sae]."""
    squares = np.bincount(feature, weights=(value - mean[feature]) ** 2, minlength=len(mean))
    return np.asarray(squares, np.float64)


def t_limits(n: Ints, mean: Floats, squares: Floats, alpha: float, limits: bool = True) -> Scale:
    """Student's t over n values; infinite limits for a single one, NaN for none."""
    from scipy.special import stdtrit

    if not limits:
        return Scale(mean, mean, mean, n)
    several = np.maximum(n - 1, 1)
    reach = np.where(n > 1, stdtrit(several, 1 - alpha) * np.sqrt(squares / several / np.maximum(n, 1)), np.inf)
    return Scale(mean, mean - reach, mean + reach, n)


def _entries(codes: Codes, tokens: Ints) -> _Entries:
    """The kept values on some tokens, numbered by the tokens' places; codes must be 0 or more."""
    place = np.full(codes.n_tokens, -1, np.int64)
    place[tokens] = np.arange(len(tokens))
    at = place[token_of_entry(codes)]
    use = (at >= 0) & (codes.value != 0)
    return _Entries(at[use] * codes.d_sae + codes.index[use], codes.value[use].astype(np.float64))


def _means(key: Ints, value: Floats) -> tuple[Ints, Floats]:
    """The mean of each key's values, keys ascending."""
    found, where = np.unique(key, return_inverse=True)
    n = np.bincount(where, minlength=len(found))
    return found, np.bincount(where, weights=value, minlength=len(found)) / np.maximum(n, 1)


def _ratio(part: Floats, whole: Floats) -> Floats:
    out: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)
    return out
