"""What the library is asked for is checked: a name that is none is an error with the nearest one, never a default."""

import numpy as np
import pytest

from harness import explore
from harness.census import census_of
from harness.codes import Pooled
from harness.heldout import is_in
from harness.inputs import Prompt, parse_hook
from harness.stats.ranking import scores_of_all
from interp_tests.test_store import make_codes


def unread(prompts):
    raise AssertionError("nothing is read for a call that cannot be meant")


def subject(**reading):
    return explore.OpenSubject(unread, **reading)


POOLED = Pooled.from_dense(np.eye(4))
WEIGHTS = np.ones((1, 4))
CALLS = {
    "pool": lambda: subject().pooled(["a"], "lasst"),
    "pool of top": lambda: subject().top_features("a", pool="lasst"),
    "pool of scan": lambda: subject().scan(3, ["a"], pool="lasst"),
    "pool of rate": lambda: subject().fire_rate(3, ["a"], pool="lasst"),
    "pool of diff": lambda: subject().differential_features(["a"], ["b"], pool="lasst"),
    "pool of codes": lambda: make_codes().pooled(make_codes().counted(), "lasst"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_pool_that_is_none_names_the_nearest(call):
    """`lasst` gave max, without a word."""
    with pytest.raises(ValueError, match=r"pool='lasst' is none of max, last, mean, any. Did you mean 'last'\?"):
        CALLS[call]()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: subject(tokens="txt"), r"tokens='txt' is none of text, image, all"),
        (lambda: explore.open_subject(model=1, tokenizer=1, sae=1, layer=1, tokens="texts"), r"tokens='texts'"),
        (lambda: subject(special_tokens="ignore"), r"special_tokens='ignore' .* Did you mean 'ignored'\?"),
        (lambda: make_codes().counted("txt"), r"tokens='txt'"),
        (lambda: make_codes().counted("text", True), r"special_tokens=True is none of ignored, counted"),
        (lambda: subject().differential_features(["a"], ["b"], rank="auc"), r"rank='auc' is none of mean, auroc, rate"),
        (lambda: explore.differential_features(POOLED, POOLED, rank="means"), r"Did you mean 'mean'\?"),
        (lambda: explore.census(subject(), subject(), ["a"], method="align"), r"method='align' .* 'aligned'"),
        (lambda: census_of(make_codes(), make_codes(), method="ratio"), r"method='ratio' is none of aligned"),
        (lambda: subject().encode([Prompt("a", attention="prefx")]), r"attention='prefx' is none of causal, prefix"),
        (lambda: is_in("tests", Prompt("a")), r"half='tests' is none of discovery, test"),
        (lambda: scores_of_all(POOLED, POOLED, "mena", WEIGHTS, WEIGHTS), r"by='mena' is none of auroc, mean, rate"),
        (lambda: parse_hook("blocks.3.hook_resid_pst"), r"Did you mean 'hook_resid_post'\?"),
        (lambda: parse_hook("blocks.x.hook_resid_post"), r"not a site that can be read; one of blocks.L"),
        (lambda: subject().top_features("a", n=0), r"n=0 asks for nothing"),
        (lambda: explore.differential_features(POOLED, POOLED, n=-1), r"n=-1 asks for nothing"),
        (lambda: explore.top_features(make_codes(), n=-3), r"n=-3 asks for nothing"),
    ],
)
def test_a_name_or_number_that_cannot_be_meant_is_an_error(call, said):
    """With what was given and all that is valid."""
    with pytest.raises(ValueError, match=said):
        call()


def test_a_prompt_that_is_no_text_is_an_error():
    """A number among texts is a slip, and no text."""
    with pytest.raises(TypeError, match="a prompt is text, and this is 3"):
        subject().encode(["a", 3])


def test_valid_names_are_taken():
    """Every one of them, and one prompt for a list of one."""
    codes = make_codes()
    for tokens in ("text", "image", "all"):
        for specials in ("ignored", "counted"):
            for pool in ("max", "last", "mean", "any"):
                assert codes.pooled(codes.counted(tokens, specials), pool).n_prompts == 1
    opened = explore.OpenSubject(lambda prompts: codes)
    assert opened.encode(Prompt("a")) is codes
