"""Training an SAE: a tiny random Gemma2 made here, the real trainer of sae-lens."""

import csv
import dataclasses
import json
import os
import re
import signal

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedTokenizerFast

from harness.capture.specials import special_ids
from harness.capture.training import artefacts
from harness.capture.training import contexts as reading
from harness.capture.training.config import TrainConfig, sha256_of
from harness.capture.training.fidelity import fidelity, load_sae
from harness.capture.training.harvest import harvest, reader
from harness.capture.training.run import train_sae
from harness.errors import EnvironmentFault
from harness.zoo.gemma3_270m import build, lexicon, sources, templates, withheld
from harness.zoo.gemma3_270m.measure import SPECS

WORDS = [f"w{i}" for i in range(60)]
D_IN = 32


class Silent:
    """A Progress that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def update(self, line):
        self.lines.append(line)

    say = update


def tiny_tokenizer():
    vocabulary = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3} | {w: i + 4 for i, w in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(7)
    settings = Gemma2Config(
        vocab_size=64, hidden_size=D_IN, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, intermediate_size=48, sliding_window=16, initializer_range=0.3,
    )  # fmt: skip
    Gemma2ForCausalLM(settings).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    generator = torch.Generator().manual_seed(3)
    path = tmp_path_factory.mktemp("corpus") / "words.jsonl"
    texts = [" ".join(WORDS[i] for i in torch.randint(60, (40,), generator=generator)) for _ in range(200)]
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    return path


@pytest.fixture
def config(model_folder, corpus, tmp_path):
    return TrainConfig(
        model=model_folder, layer=1, corpus=(corpus,), out=tmp_path / "sae", d_sae=64, k=4, tokens=60 * 64, seed=5,
        context_length=24, batch_tokens=64, buffer_tokens=640, lr=3e-3, checkpoint_every=13, held_out_tokens=300,
    )  # fmt: skip


def curve_of(folder):
    with (folder / "loss.csv").open() as f:
        return [float(row["loss"]) for row in csv.DictReader(f)]


def test_a_run_leaves_weights_config_card_and_curve(config):
    """A finished run writes what sae-lens loads, what a reader reads, and no checkpoint."""
    progress = Silent()
    done = train_sae(config, progress=progress)
    assert (done.finished, done.steps, done.tokens) == (True, 60, 60 * 64)
    names = sorted(p.name for p in config.out.iterdir())
    assert names == ["CARD.md", "cfg.json", "loss.csv", "loss.png", "loss.svg", "sae_weights.safetensors"]
    settings = json.loads((config.out / "cfg.json").read_text())
    assert (settings["architecture"], settings["normalize_activations"]) == ("jumprelu", "none")
    assert (settings["d_in"], settings["d_sae"]) == (D_IN, 64)
    assert settings["metadata"]["hook_name"] == "blocks.1.hook_resid_post"
    card = (config.out / "CARD.md").read_text()
    assert sha256_of(config.out / "sae_weights.safetensors") in card
    assert f"| words | {done.fidelity[0].tokens:,} | {done.fidelity[0].fvu:.3f} |" in card
    svg = (config.out / "loss.svg").read_text()
    assert svg.count("<svg") == 1
    for said in (config.model.name, "blocks.1.hook_resid_post", "64 features", "3,840 tokens of words", "20"):
        assert said in svg
    assert (config.out / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert any("step 60 of 60" in line or "step 59 of 60" in line for line in progress.lines)


def test_no_path_of_this_machine_stays_in_what_is_written(config):
    """cfg.json and CARD.md name files, never folders."""
    train_sae(config, progress=Silent())
    for name in ("cfg.json", "CARD.md"):
        text = (config.out / name).read_text()
        assert str(config.model.parent) not in text
        assert str(config.corpus[0].parent) not in text


def test_training_lowers_the_loss(config):
    """The last batches are reconstructed better than the first, so the trainer does train."""
    train_sae(config, progress=Silent())
    curve = curve_of(config.out)
    assert sum(curve[-5:]) < 0.7 * sum(curve[:5])


@pytest.mark.parametrize("stop_at", [30, 10, 33])
def test_stopping_and_resuming_gives_the_same_curve_and_weights(config, tmp_path, stop_at):
    """60 steps in one go equal 60 steps with a stop, inside a chunk (33) and at a chunk's end (10, 30)."""
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    train_sae(whole, progress=Silent())
    first = train_sae(config, progress=Silent(), stop=lambda steps: steps == stop_at)
    assert (first.finished, first.steps) == (False, stop_at)
    assert len(curve_of(config.out)) == stop_at
    assert train_sae(config, progress=Silent()).finished
    assert curve_of(config.out) == pytest.approx(curve_of(whole.out), rel=1e-4)
    a, b = (load_file(folder / "sae_weights.safetensors") for folder in (config.out, whole.out))
    assert all(torch.allclose(a[name], b[name], rtol=1e-4, atol=1e-5) for name in a)


def test_a_run_that_broke_off_while_measuring_only_finishes(config, monkeypatch):
    """Weights are there but no card: the next call takes no step more and writes what is missing."""

    def full(*_args):
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(artefacts, "write_card", full)
        with pytest.raises(OSError, match="No space"):
            train_sae(config, progress=Silent())
    weights = sha256_of(config.out / "sae_weights.safetensors")
    assert train_sae(config, progress=Silent()).steps == 60
    assert sha256_of(config.out / "sae_weights.safetensors") == weights
    assert weights in (config.out / "CARD.md").read_text()


def test_another_seed_gives_another_curve(config, tmp_path):
    """The equality above can fail: another seed moves curve and weights."""
    other = dataclasses.replace(config, seed=6, out=tmp_path / "other")
    train_sae(config, progress=Silent())
    train_sae(other, progress=Silent())
    assert curve_of(config.out) != pytest.approx(curve_of(other.out), rel=1e-4)


def test_a_signal_stops_with_a_checkpoint_and_gives_the_handlers_back(config):
    """SIGTERM ends the run after a step; the process's own handler stands again."""
    before = signal.getsignal(signal.SIGTERM)

    def send(steps):
        if steps == 21:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    stopped = train_sae(config, progress=Silent(), stop=send)
    assert not stopped.finished
    assert stopped.steps in (21, 22)
    assert (config.out / "checkpoint" / "place.json").is_file()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_checkpoint_of_another_configuration_is_refused(config):
    """Resuming under another k would give an SAE that no config describes."""
    train_sae(config, progress=Silent(), stop=lambda steps: steps == 5)
    with pytest.raises(EnvironmentFault, match="other_training"):
        train_sae(dataclasses.replace(config, k=5), progress=Silent())


def test_a_trained_sae_is_never_overwritten(config):
    """A second run into the same folder is an error, before anything is loaded."""
    train_sae(config, progress=Silent())
    with pytest.raises(EnvironmentFault, match="out_in_use"):
        train_sae(config, progress=Silent())


def test_the_saved_sae_reads_raw_activations_as_the_trained_one_did(config, model_folder):
    """Scale and decoder norms are folded in: what is saved reconstructs raw activations about as the last batches."""
    done = train_sae(config, progress=Silent())
    sae = load_sae(config.out)
    assert torch.allclose(sae.W_dec.norm(dim=-1), torch.ones(64), atol=1e-4)
    with (config.out / "loss.csv").open() as f:
        last = [float(row["fvu"]) for row in csv.DictReader(f)][-5:]
    assert done.fidelity[0].fvu == pytest.approx(sum(last) / 5, abs=0.15)


def test_bfloat16_on_disk_keeps_vectors_in_float32_and_loads_as_float32(config):
    """Half the size; in memory everything is float32."""
    config = dataclasses.replace(config, weights="bfloat16")
    train_sae(config, progress=Silent())
    stored = {name: tensor.dtype for name, tensor in load_file(config.out / "sae_weights.safetensors").items()}
    matrices = {name for name, dtype in stored.items() if dtype == torch.bfloat16}
    assert matrices == {"W_enc", "W_dec"}
    assert {p.dtype for p in load_sae(config.out).parameters()} == {torch.float32}


def test_residuals_are_the_layers_output_without_special_tokens(model_folder):
    """What is harvested equals hidden_states[L + 1] at every token but BOS, padded rows or not."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_folder, attn_implementation="eager").eval()
    tokenizer = tiny_tokenizer()
    cut = reading.contexts(["w1 w2 w3 w4 w5", "w6 w7"], tokenizer, 24, 100)
    read, other = reader(model, "blocks.1.hook_resid_post"), reader(model, "blocks.0.hook_resid_post")
    found = torch.cat(list(harvest(read, cut, special_ids(tokenizer), "cpu", "float32")))
    below = torch.cat(list(harvest(other, cut, special_ids(tokenizer), "cpu", "float32")))
    assert not any(layer._forward_hooks for layer in model.base_model.layers)
    expected = []
    for context in sorted(cut, key=len):
        ids = torch.from_numpy(context).long()[None]
        expected.append(model(ids, output_hidden_states=True).hidden_states[2][0, 1:].detach())
    assert torch.allclose(found, torch.cat(expected), atol=1e-5)
    assert not torch.allclose(below, torch.cat(expected), atol=1e-2)


def test_fidelity_follows_its_formulas_on_shifted_activations(config):
    """FVU, L0 and dead share equal plain loops over tokens, on activations whose mean is far from zero."""
    train_sae(config, progress=Silent())
    sae = load_sae(config.out)
    h = torch.randn(50, D_IN, generator=torch.Generator().manual_seed(1)) * 3 + 40
    found = fidelity("x", sae, [h[:20], h[20:]])
    mean = [sum(float(row[d]) for row in h) / 50 for d in range(D_IN)]
    error = spread = fires = 0.0
    seen = set()
    for row in h:
        with torch.no_grad():
            codes = sae.encode(row[None])
            back = sae.decode(codes)[0]
        error += sum((float(row[d]) - float(back[d])) ** 2 for d in range(D_IN))
        spread += sum((float(row[d]) - mean[d]) ** 2 for d in range(D_IN))
        fires += int((codes != 0).sum())
        seen |= set(codes[0].nonzero().flatten().tolist())
    assert found.fvu == pytest.approx(error / spread, rel=1e-5)
    assert found.fvu != pytest.approx(error / float(h.double().square().sum()), rel=0.1)
    assert (found.l0, found.dead) == (pytest.approx(fires / 50), pytest.approx(1 - len(seen) / 64))


def test_held_out_documents_are_never_trained_on(config):
    """The two lists share no document and make up the corpus."""
    held = reading.held_out_documents(config)["words"]
    trained = reading.trained_documents(config)
    assert held
    assert not set(held) & set(trained)
    assert len(held) + len(trained) == 200


def test_contexts_hold_every_token_once_after_a_bos():
    """Cutting loses no token and repeats none."""
    cut = reading.contexts([" ".join(WORDS)], tiny_tokenizer(), 24, 1000)
    assert [int(c[0]) for c in cut] == [2] * len(cut)
    assert [int(i) for c in cut for i in c[1:]] == list(range(4, 64))
    assert max(map(len, cut)) == 24


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"corpus": ()}, "no corpus file is named"),
        ({"k": 64}, "k is 64; it must lie between 0 and d_sae = 64"),
        ({"tokens": 10}, "10 tokens are less than one batch of 64"),
        ({"layer": -1}, "layers count from 0"),
        ({"layer": 3}, "has 3 layers, 0 to 2"),
        ({"tokens": 64_000}, "the corpus fills"),
        ({"buffer_tokens": 32}, "buffer_tokens is 32, less than one batch of 64"),
    ],
)
def test_what_cannot_be_trained_is_one_clear_message(config, changed, message):
    """A wrong configuration fails before the first step, and writes no weights."""
    with pytest.raises(EnvironmentFault) as fault:
        train_sae(dataclasses.replace(config, **changed), progress=Silent())
    assert message in str(fault.value)
    assert not (config.out / "sae_weights.safetensors").exists()


def test_a_missing_model_starts_no_training(config, tmp_path):
    """A load that fails is an error, never a reason to train."""
    with pytest.raises(EnvironmentFault, match="weights_missing"):
        train_sae(dataclasses.replace(config, model=tmp_path / "nothing"), progress=Silent())
    assert not list(config.out.iterdir())


def test_a_broken_corpus_line_is_named(config, tmp_path):
    """The error says which line of which file is no document."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "w1 w2"}\n{"txt": "w3"}\n')
    with pytest.raises(EnvironmentFault, match=r"bad\.jsonl:2: no document"):
        train_sae(dataclasses.replace(config, corpus=(bad,)), progress=Silent())


def test_activations_that_are_not_finite_stop_the_run(config, model_folder):
    """NaN in the model gives a fault that says so, not an SAE of NaN."""
    model = Gemma2ForCausalLM.from_pretrained(model_folder, attn_implementation="eager")
    with torch.no_grad():
        model.base_model.layers[0].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(EnvironmentFault, match="not_finite"):
        train_sae(config, loaded=(model, tiny_tokenizer()), progress=Silent())
    assert not (config.out / "sae_weights.safetensors").exists()


# The SAE of Gemma 3 270M that ships, and its corpus.

CATEGORIES = yaml.safe_load((SPECS / "prompts" / "categories.yaml").read_text())["prompts"]


@pytest.mark.parametrize("category", withheld.WORDS)
def test_every_test_prompt_of_a_withheld_category_holds_a_withheld_word(category):
    """What the card says of words that the corpus lacks is true of each single prompt."""
    without = [p for p in CATEGORIES[category] if not withheld.has_withheld_word(p)]
    assert without == []


def test_the_template_words_and_sentences_hold_no_withheld_word():
    """Neither the lexicon nor what is made of it names a word of the test prompts."""
    assert [w for words in lexicon.WORDS.values() for w in words if withheld.has_withheld_word(w)] == []
    made = templates.documents(templates.FRAMES, 500, seed=3)
    assert [text for text in made if withheld.has_withheld_word(text)] == []
    assert withheld.has_withheld_word("Seven grey geese, and a cat's bowl.")
    assert not withheld.has_withheld_word("Two green frogs sat by a catalogue.")


def test_no_frame_of_the_test_prompts_is_a_frame_of_the_corpus():
    """With withheld words blanked on one side and slots on the other, no sentence is left in both."""
    tests = {withheld._PATTERN.sub("_", p).lower() for c in withheld.WORDS for p in CATEGORIES[c]}
    frames = {re.sub(r"\{\w+\}", "_", f).lower() for f in templates.FRAMES}
    assert not tests & frames
    assert "the _ was hungry after the long winter." in frames


def test_sentences_with_withheld_words_are_dropped_and_no_others():
    """A paragraph keeps its other sentences."""
    text = "She saw it. The cat slept; nobody knew. Two bowls stood there."
    assert withheld.without_withheld(text) == "She saw it. nobody knew. Two bowls stood there."


def test_code_loses_only_comments_and_strings_with_withheld_words(tmp_path):
    """Identifiers stay; a comment's or a string's line goes."""
    path = tmp_path / "m.py"
    path.write_text("table = 1\n# a yellow thing\nx = 'cat'\ny = 'dog'\n")
    assert sources.python_source(path) == "table = 1\ny = 'dog'\n"


def test_the_sae_that_ships_is_the_one_on_its_card():
    """The digests on the card are those of the files, which load as sae-lens's JumpReLU and fit the size limit."""
    card = (build.SHIPPED / "CARD.md").read_text()
    for name in ("cfg.json", "sae_weights.safetensors"):
        assert sha256_of(build.SHIPPED / name) in card
    sae = load_sae(build.SHIPPED)
    assert (sae.cfg.architecture(), sae.cfg.d_in, sae.cfg.d_sae) == ("jumprelu", 640, 4096)
    assert sae.cfg.normalize_activations == "none"
    assert sae.cfg.metadata.hook_name == "blocks.9.hook_resid_post"
    assert all(bool(p.isfinite().all()) for p in sae.parameters())
    assert sum(p.stat().st_size for p in build.SHIPPED.iterdir()) < 15_000_000
