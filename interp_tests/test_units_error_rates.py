"""Error rates of units of several prompts, by seeded simulation: nulls are rejected about as often as alpha says."""

import numpy as np
import pytest
from scipy.special import erfinv

from harness.codes import Pooled
from harness.expectations.comparing import Comparison, _compare
from harness.inputs import Filled, Prompt
from harness.stats.permutation import midrank_p, rank_sum, stratified_p
from harness.stats.scores import auroc_of_units
from harness.stats.units import by_unit, design_of
from interp_tests.labelled import grouping_of

pytestmark = pytest.mark.slow
DRAWS = 2000
LATE = 3.3  # standard errors: a rate is over its limit by chance in 1 of 2,000 tests


def activations(rng, latent, rate=0.5):
    """Zero-inflated lognormal values from standard normal latents, [..., DRAWS]: the upper share `rate` fires."""
    cut = -np.sqrt(2) * erfinv(2 * rate - 1)
    return np.where(latent > cut, np.exp(latent - cut), 0.0)


def in_frames(words, frames, side):
    """Every word in every frame, as a template set makes them."""
    made = []
    for f in range(frames):
        template = f"{{w}} in frame {f}"
        for w in range(words):
            word = f"{side}{w}"
            filled = (Filled("template", f, template), Filled("w", w, word))
            made.append(Prompt(template.replace("{w}", word), group=template, filled=filled))
    return tuple(made)


def rejected(found, alpha=0.05):
    return np.mean([found.p(f).value <= alpha for f in range(len(found.auroc))])


def limit(draws=DRAWS, alpha=0.05):
    return alpha + LATE * np.sqrt(alpha * (1 - alpha) / draws)


@pytest.mark.parametrize(("a", "b"), [(5, 5), (5, 20), (10, 10)])
@pytest.mark.parametrize("frames", [2, 6])
@pytest.mark.parametrize(("of_words", "of_frames"), [(0.0, 0.0), (0.5, 0.3), (0.8, 0.1)])
def test_words_in_frames_reject_nulls_at_alpha(a, b, frames, of_words, of_frames):
    """Words that recur in every frame, frames that raise all words: one deal for all frames is exact under the null."""
    rng = np.random.default_rng([a, b, frames, int(10 * of_words)])
    word, frame = rng.normal(size=(a + b, 1, DRAWS)), rng.normal(size=(1, frames, DRAWS))
    own = np.sqrt(1 - of_words - of_frames) * rng.normal(size=(a + b, frames, DRAWS))
    value = activations(rng, np.sqrt(of_words) * word + np.sqrt(of_frames) * frame + own)
    sides = [value[:a].transpose(1, 0, 2).reshape(-1, DRAWS), value[a:].transpose(1, 0, 2).reshape(-1, DRAWS)]
    prompts = in_frames(a, frames, "a"), in_frames(b, frames, "b")
    found = _compare(*map(Pooled.from_dense, sides), *prompts, "templates")
    assert (found.design.n_positive, found.design.n_negative, found.design.n_frames) == (a, b, frames)
    assert rejected(found) <= limit()


@pytest.mark.parametrize("sizes", [[1] * 10, [1] * 5 + [8] * 5, [20] + [1] * 9])
def test_one_prompt_of_each_cluster_rejects_nulls_at_alpha(sizes):
    """Clusters of near copies on one side only, agreeing by .9: one of each is taken, and its size plays no part."""
    rng = np.random.default_rng(len(sizes) + sum(sizes))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    shared, own = rng.normal(size=(len(sizes), DRAWS)), rng.normal(size=(len(labels), DRAWS))
    copies = activations(rng, np.sqrt(0.9) * shared[labels] + np.sqrt(0.1) * own, 0.3)
    others = activations(rng, rng.normal(size=(10, DRAWS)), 0.3)
    first = np.unique(labels, return_index=True)[1]
    p = [midrank_p(copies[first, f], others[:, f]).value for f in range(DRAWS)]
    assert np.mean(np.array(p) <= 0.05) <= limit()


@pytest.mark.parametrize("sizes", [[4] * 8, [1] * 4 + [9] * 4])
def test_groups_by_the_mean_of_their_placements_reject_nulls_at_alpha(sizes):
    """Declared groups on both sides, agreeing by .5 inside; the mean of their values would reject far more often."""
    rng = np.random.default_rng(sum(sizes))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    values = []
    for _ in range(2):
        shared, own = rng.normal(size=(len(sizes), 500)), rng.normal(size=(len(labels), 500))
        values.append(activations(rng, np.sqrt(0.5) * (shared[labels] + own), 0.3))
    names = [f"g{i}" for i in labels]
    design = design_of(grouping_of(names), grouping_of(names))
    sides = tuple(map(Pooled.from_dense, values))
    rows = by_unit(sides[0], design.positive), by_unit(sides[1], design.negative)
    found = Comparison(design, *rows, auroc_of_units(*sides, design), sides, "groups")
    assert rejected(found) <= limit(500)


def test_a_deal_inside_each_frame_would_reject_far_more():
    """The partner that must fail: three words a side in six frames, dealt anew in every frame."""
    rng = np.random.default_rng(0)
    word = rng.normal(size=(6, 1, 400))
    value = activations(rng, np.sqrt(0.6) * word + np.sqrt(0.4) * rng.normal(size=(6, 6, 400)))
    p = [stratified_p([rank_sum(value[:3, f, d], value[3:, f, d]) for f in range(6)]).value for d in range(400)]
    assert np.mean(np.array(p) <= 0.05) > 0.12
