"""The steering gate compares where a script acts, and what else is in its model beside the weights."""

import functools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from harness.gate.blocking import Why
from harness.gate.place import altered, elsewhere, hook_of, read_otherwise, whole_numbers
from interp_tests.report_cases import SUBJECT

HOOK = "blocks.3.hook_resid_post"


def small():
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.1), nn.Linear(2, 2))).eval()


def whys(reasons):
    return [reason.why for reason in reasons]


def spy(*_):
    return None


def test_a_plain_model_in_evaluation_has_nothing_in_the_way():
    """No hook, no replaced forward, no training: no reason."""
    assert list(altered(small())) == []


@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
@pytest.mark.parametrize("hook", [spy, lambda *_: None, functools.partial(spy, 1)])
def test_somebodys_hook_on_any_module_is_named(kind, hook):
    """Whatever callable it is, the module is named; without it nothing is."""
    model = small()
    handle = getattr(model[1][1], kind)(hook)
    (reason,) = altered(model)
    assert reason.why is Why.MODEL_HOOKED
    assert "1.1 has a forward hook" in reason.message
    handle.remove()
    assert list(altered(model)) == []


def test_a_hook_on_every_module_is_found():
    """torch's own global hooks are hooks, too."""
    handle = nn.modules.module.register_module_forward_hook(spy)
    try:
        assert "every module" in next(altered(small())).message
    finally:
        handle.remove()


def test_a_replaced_forward_is_found():
    """A method put over forward does what a hook does."""
    model = small()
    model[0].forward = lambda x: x
    assert "0 has another forward" in next(altered(model)).message


def test_transformers_own_hooks_are_no_reason():
    """Asking a model for its hidden states leaves transformers' hooks on it, which pass on what they see."""
    from interp_tests.tiny_random import make_model

    model = make_model(64)
    with torch.no_grad():
        model(input_ids=torch.tensor([[2, 5]]), output_hidden_states=True)
    assert any(module._forward_hooks for module in model.modules()), "nothing was tested"
    assert list(altered(model)) == []


def test_training_mode_of_the_model_or_a_part_blocks():
    """The whole model, or one module in it."""
    whole, part = small().train(), small()
    part[1][0].train()
    assert whys(altered(whole)) == whys(altered(part)) == [Why.TRAINING_MODE]
    assert "1.0 in training mode" in next(altered(part)).message


@pytest.mark.parametrize("bad", [3.7, 3.0, True, np.bool_(True), "12", None, [3], np.float64(4)])
def test_what_is_no_whole_number_is_no_feature(bad):
    """Today's 3.7 would be feature 3, True feature 1 and '12' feature 12."""
    wanted, reasons = whole_numbers([5, bad])
    assert wanted == [5]
    assert whys(reasons) == [Why.NO_SUCH_FEATURE]
    assert repr(bad) in reasons[0].message


def test_whole_numbers_of_any_library_are_features():
    """Python's, numpy's and torch's; each once, in order."""
    assert whole_numbers([7, np.int64(3), np.uint8(7), torch.tensor(2), np.array(9)]) == ([7, 3, 2, 9], [])


def sae_at(hook, where="metadata"):
    cfg = SimpleNamespace(metadata=SimpleNamespace(hook_name=None), hook_name=None)
    (cfg.metadata if where == "metadata" else cfg).hook_name = hook
    return SimpleNamespace(cfg=cfg)


@pytest.mark.parametrize("where", ["metadata", "cfg"])
def test_an_sae_of_another_place_blocks(where):
    """By the SAE's metadata, or its configuration before sae-lens 6; the same place does not."""
    other = sae_at("blocks.3.hook_resid_pre", where)
    assert whys(elsewhere(HOOK, other, None)) == [Why.HOOK_DIFFERS]
    assert list(elsewhere(HOOK, sae_at(HOOK, where), None)) == []
    assert list(elsewhere(HOOK, sae_at("model.layers.3", where), None)) == []


def test_the_argument_says_where_the_script_acts():
    """hook= is compared in place of the SAE's own word; an SAE that says nothing is no reason."""
    assert whys(elsewhere(HOOK, sae_at(HOOK), "blocks.4.hook_resid_post")) == [Why.HOOK_DIFFERS]
    assert list(elsewhere(HOOK, sae_at("blocks.4.hook_resid_post"), HOOK)) == []
    assert list(elsewhere(HOOK, SimpleNamespace(), None)) == []
    assert hook_of(SimpleNamespace(cfg=SimpleNamespace(metadata={"hook_name": HOOK}))) == HOOK


def test_what_is_read_otherwise_is_accepted_by_name_only():
    """Each thing blocks until the script names it; a name that says nothing is a mistake of the script."""
    both = replace(SUBJECT, read_otherwise=(("hook", "to compare"), ("bos", "chat only")))
    found = list(read_otherwise(both, ()))
    assert [reason.why for reason in found] == [Why.READ_OTHERWISE, Why.READ_OTHERWISE]
    assert "(to compare). If the script means that: accept_read_otherwise=['hook']" in found[0].message
    assert ["chat only" in reason.message for reason in read_otherwise(both, ["hook"])] == [True]
    assert list(read_otherwise(both, ["hook", "bos"])) == []
    assert list(read_otherwise(SUBJECT, ())) == []
    with pytest.raises(ValueError, match="it can name hook, bos"):
        list(read_otherwise(SUBJECT, ["hok"]))
