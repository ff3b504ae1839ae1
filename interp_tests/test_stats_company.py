"""What keeps a feature company, held against slow plain twins."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.expectations.toy import D_SAE, toy_codes
from harness.stats.company import cosines_with, jaccard_with
from interp_tests.plain_twins.company import cosine, jaccard

PROMPTS = st.lists(st.lists(st.sampled_from([0.0, 0.0, 1.5, 4.0]), min_size=1, max_size=5), min_size=1, max_size=4)


def firing(codes, counted):
    """Per counted token the features that fire on it."""
    spans = [(codes.indptr[t], codes.indptr[t + 1]) for t in np.flatnonzero(counted)]
    return [{int(f) for f, v in zip(codes.index[a:b], codes.value[a:b], strict=True) if v != 0} for a, b in spans]


@given(PROMPTS, st.integers(0, D_SAE - 1))
def test_jaccard_is_the_plain_twins(prompts, feature):
    """Every feature's index with one of them is what counting token by token gives."""
    codes, _ = toy_codes([[(f"t{i}", v) for i, v in enumerate(values)] for values in prompts], 0)
    counted = codes.counted()
    rows = firing(codes, counted)
    expected = [jaccard(rows, feature, other) for other in range(D_SAE)]
    assert jaccard_with(codes, counted, feature).tolist() == pytest.approx(expected)


def test_tokens_that_do_not_count_change_the_index():
    """BOS and a sink, on which all features fire, would make company of what never fires together."""
    codes, _ = toy_codes([[("a", 2.0), ("b", 0.0)]], 0)
    everywhere = np.ones(codes.n_tokens, bool)
    assert jaccard_with(codes, codes.counted(), 0)[4] == 0
    assert jaccard_with(codes, everywhere, 0)[4] == pytest.approx(2 / 3)


def test_cosines_are_the_plain_twins():
    """Rows against all rows; a row of zeros has cosine 0 with all, not NaN."""
    decoder = np.random.default_rng(3).standard_normal((7, 5)).astype(np.float32)
    decoder[4] = 0
    decoder[5] *= 0.01  # a short row points somewhere, too
    found = cosines_with(decoder, [2, 4])
    expected = [[cosine(decoder[f].tolist(), row.tolist()) for row in decoder] for f in (2, 4)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not np.allclose(found[0], cosines_with(decoder, [3])[0])


def test_features_beyond_the_last_that_fires_have_no_company():
    """One value for every feature of the SAE, also where the last ones are silent; zero, not NaN."""
    codes, _ = toy_codes([[("a", 2.0), ("b", 0.0)]], 0)
    narrow = replace(codes, value=np.where(codes.index == 0, 1.0, 0.0).astype(np.float32))
    found = jaccard_with(narrow, np.ones(codes.n_tokens, bool), 0)
    assert len(found) == D_SAE
    assert found.tolist() == [1.0] + [0.0] * (D_SAE - 1)
