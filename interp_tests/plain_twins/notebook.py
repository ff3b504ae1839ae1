"""The source notebook's cells 3, 6, 7 and 10 to 19, copied as they stand: its hook, classes, ratios, tokens and table.

Nothing here comes from harness/. Changed are only the names of libraries' parts that moved since (`language_model` lies
in `model.model`), what `tqdm`, `plt` and files were there for, and that constants are arguments.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the notebook's name

CATEGORIES = ("stable", "shifted", "new_vision", "new_text")

# Cell 7.
TEXT_PROMPTS = [
    "The answer is 42.",
    "There are 3 apples and 5 oranges.",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    "The red ball bounced across the green grass.",
    "She wore a beautiful blue dress to the party.",
    "The yellow sun set behind the purple mountains.",
    "The dog chased the cat around the garden.",
    "A lion hunts zebras on the African savanna.",
    "The elephant's trunk can hold gallons of water.",
    "The book is on top of the table.",
    "The cat is sitting under the chair.",
    "The ball rolled between the two posts.",
    "She ran quickly down the stairs.",
    "He carefully opened the ancient door.",
    "The bird flew gracefully through the sky.",
    "The computer screen displayed an error message.",
    "The car drove down the highway at high speed.",
    "The camera captured the beautiful sunset.",
    "Love is patient, love is kind.",
    "The theory of relativity changed physics forever.",
    "Democracy requires active citizen participation.",
    "def hello_world(): print('Hello!')",
    "for i in range(10): sum += i",
    "if x > 0: return True else: return False",
]


class SparseAutoencoder(torch.nn.Module):
    """Cell 3."""

    def __init__(self, d_model, d_sae):
        super().__init__()
        self.W_enc = torch.nn.Parameter(torch.empty(d_model, d_sae))
        self.b_enc = torch.nn.Parameter(torch.zeros(d_sae))
        self.W_dec = torch.nn.Parameter(torch.empty(d_sae, d_model))
        self.b_dec = torch.nn.Parameter(torch.zeros(d_model))
        torch.nn.init.kaiming_normal_(self.W_enc, nonlinearity="relu")
        self.W_dec.data = self.W_enc.data.T.clone()

    def encode(self, x):
        x_centered = x - self.b_dec
        return F.relu(x_centered @ self.W_enc + self.b_enc)

    def decode(self, features):
        return features @ self.W_dec + self.b_dec


class ActivationExtractor:
    """Cell 6."""

    def __init__(self, model, target_layer, model_type="gemma"):
        self.model = model
        self.target_layer = target_layer
        self.model_type = model_type
        self.activations = []
        self.hook_handle = None

    def _get_target_module(self):
        if self.model_type == "gemma":
            return self.model.model.layers[self.target_layer]
        if self.model_type == "paligemma":
            return self.model.model.language_model.layers[self.target_layer]
        if self.model_type == "paligemma_lm":
            return self.model.layers[self.target_layer]
        raise ValueError(f"Unknown model type: {self.model_type}")

    def _hook_fn(self, module, inputs, output):
        hidden_states = output[0] if isinstance(output, tuple) else output
        flat_activations = hidden_states.detach().cpu().float().reshape(-1, hidden_states.shape[-1])
        self.activations.append(flat_activations)

    def attach_hook(self):
        self.hook_handle = self._get_target_module().register_forward_hook(self._hook_fn)

    def remove_hook(self):
        if self.hook_handle:
            self.hook_handle.remove()
            self.hook_handle = None

    def clear_activations(self):
        self.activations = []

    def get_activations(self):
        return torch.cat(self.activations, dim=0) if self.activations else None


def extract_text_activations(text_prompts, model, tokenizer, extractor):
    """Cells 6 and 8: (activations [tokens, d_in], token strings)."""
    extractor.clear_activations()
    extractor.attach_hook()
    all_tokens = []
    with torch.no_grad():
        for prompt in text_prompts:
            inputs = tokenizer(prompt, return_tensors="pt")
            model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask)
            token_ids = inputs.input_ids[0].tolist()
            all_tokens.extend([tokenizer.decode([tid]) for tid in token_ids])
    extractor.remove_hook()
    return extractor.get_activations(), all_tokens


def extract_image_text_activations(image_text_pairs, model, processor, extractor):
    """Cell 6: (activations, per token whether it is among the image tokens)."""
    extractor.clear_activations()
    extractor.attach_hook()
    all_token_info = []
    image_token = processor.tokenizer.convert_tokens_to_ids("<image>")
    with torch.no_grad():
        for image, text in image_text_pairs:
            inputs = processor(text=f"<image>{text}" if text else "<image>", images=image, return_tensors="pt")
            model(**inputs)
            all_token_info.extend((inputs.input_ids[0] == image_token).tolist())
    extractor.remove_hook()
    return extractor.get_activations(), all_token_info


def classify_features(
    gemma_features, pali_text_features, pali_mm_features,
    stability_threshold=0.7, shift_threshold=0.3, activation_threshold=0.1,
):  # fmt: skip
    """Cell 11."""
    num_features = gemma_features.shape[1]
    gemma_active = (gemma_features > activation_threshold).float().mean(dim=0)
    pali_text_active = (pali_text_features > activation_threshold).float().mean(dim=0)
    pali_mm_active = (pali_mm_features > activation_threshold).float().mean(dim=0)
    gemma_mean = gemma_features.mean(dim=0)
    pali_text_mean = pali_text_features.mean(dim=0)
    pali_mm_mean = pali_mm_features.mean(dim=0)
    classified = {"stable": [], "shifted": [], "new_vision": [], "new_text": []}
    for feat_idx in range(num_features):
        g_act = gemma_active[feat_idx].item()
        pt_act = pali_text_active[feat_idx].item()
        pm_act = pali_mm_active[feat_idx].item()
        g_mean = gemma_mean[feat_idx].item()
        pt_mean = pali_text_mean[feat_idx].item()
        pm_mean = pali_mm_mean[feat_idx].item()
        is_active_gemma = g_act > 0.01
        is_active_pali_text = pt_act > 0.01
        is_active_pali_mm = pm_act > 0.01
        if not (is_active_gemma or is_active_pali_text or is_active_pali_mm):
            continue
        if is_active_pali_mm and not is_active_gemma and pm_mean > g_mean * 3:
            classified["new_vision"].append(feat_idx)
            continue
        if is_active_pali_text and not is_active_gemma and pt_mean > g_mean * 3:
            classified["new_text"].append(feat_idx)
            continue
        if is_active_gemma and is_active_pali_text:
            ratio = min(g_mean, pt_mean) / max(g_mean, pt_mean) if max(g_mean, pt_mean) > 0 else 0
            if ratio > stability_threshold:
                classified["stable"].append(feat_idx)
            elif ratio > shift_threshold:
                classified["shifted"].append(feat_idx)
    return classified


def ratios_over_base(gemma_mean, pali_text_mean, pali_mm_mean):
    """Cell 12, panel 3, before it is clipped: (text ratio, multimodal ratio)."""
    eps = 1e-6
    return (pali_text_mean / (gemma_mean + eps)).numpy(), (pali_mm_mean / (gemma_mean + eps)).numpy()


def get_special_token_set(*tokenizers):
    """Cell 13."""
    special_tokens = set()
    for tokenizer in tokenizers:
        special_tokens.update(tokenizer.all_special_tokens)
        for value in tokenizer.special_tokens_map.values():
            if isinstance(value, str):
                special_tokens.add(value)
            elif isinstance(value, list):
                special_tokens.update(value)
        for token_id in tokenizer.all_special_ids:
            special_tokens.add(tokenizer.decode([token_id]))
    return special_tokens


def is_meaningful_token(token, special_tokens):
    """Cell 13."""
    token_stripped = token.strip()
    if not token_stripped:
        return False
    if token_stripped in special_tokens or token in special_tokens:
        return False
    return token.replace(" ", "").replace("\n", "").replace("\t", "") != ""


def get_top_activating_examples(feature_idx, features, tokens, special_tokens, top_k=10):
    """Cell 13."""
    feature_acts = features[:, feature_idx]
    results = []
    for idx in torch.argsort(feature_acts, descending=True):
        if idx >= len(tokens):
            continue
        token = tokens[idx.item()]
        if not is_meaningful_token(token, special_tokens):
            continue
        results.append((token, feature_acts[idx.item()].item()))
        if len(results) >= top_k:
            break
    return results


def analyze_single_feature(
    feature_idx,
    gemma_features,
    pali_text_features,
    pali_mm_features,
    gemma_tokens,
    pali_tokens,
    category,
    special_tokens,
):
    """Cell 13."""
    gemma_top = get_top_activating_examples(feature_idx, gemma_features, gemma_tokens, special_tokens)
    pali_text_top = get_top_activating_examples(feature_idx, pali_text_features, pali_tokens, special_tokens)
    return {
        "feature_idx": feature_idx,
        "category": category,
        "gemma_mean": gemma_features[:, feature_idx].mean().item(),
        "gemma_max": gemma_features[:, feature_idx].max().item(),
        "pali_text_mean": pali_text_features[:, feature_idx].mean().item(),
        "pali_text_max": pali_text_features[:, feature_idx].max().item(),
        "pali_mm_mean": pali_mm_features[:, feature_idx].mean().item(),
        "pali_mm_max": pali_mm_features[:, feature_idx].max().item(),
        "gemma_top_tokens": gemma_top[:5],
        "pali_text_top_tokens": pali_text_top[:5],
    }


def select_top_features(feature_indices, features, n=4):
    """Cell 14."""
    if not feature_indices:
        return []
    feature_means = features[:, feature_indices].mean(dim=0)
    top_indices = torch.topk(feature_means, min(n, len(feature_indices))).indices
    return [feature_indices[i] for i in top_indices.tolist()]


def boosts_by_category(feature_classification, pali_text_mean, pali_mm_mean):
    """Cell 18, panel 3, before it is clipped: {category: [features] fp32}."""
    vision_boost = (pali_mm_mean / (pali_text_mean + 1e-6)).numpy()
    return {name: vision_boost[indices] for name, indices in feature_classification.items() if indices}


def zoomed(gemma_mean, pali_text_mean, limit=15):
    """Cell 18, panel 2: how many features lie outside the zoomed view."""
    return ((gemma_mean > limit) | (pali_text_mean > limit)).sum().item()


def reconstruction_errors(sae, flat):
    """Cell 18, panel 4: the MSE of each token, [tokens] fp32."""
    with torch.no_grad():
        return F.mse_loss(sae.decode(sae.encode(flat)), flat, reduction="none").mean(dim=1).numpy()


def strengths(mean):
    """Cell 18, panel 5: what the histogram is of."""
    return mean.numpy()


def summary_table(feature_classification, gemma_mean, pali_text_mean):
    """Cell 18, panel 6, before it is formatted: rows of (category, count, base, adapted, ratio)."""
    rows = []
    for cat, indices in feature_classification.items():
        if indices:
            g_avg = gemma_mean[indices].mean().item()
            p_avg = pali_text_mean[indices].mean().item()
            rows.append((cat, len(indices), g_avg, p_avg, p_avg / (g_avg + 1e-6)))
    return rows


def exported_rows(feature_classification, gemma, pali_text, pali_mm):
    """Cell 19, from (tokens, features) tensors."""
    gemma_mean, pali_text_mean, pali_mm_mean = (f.mean(dim=0) for f in (gemma, pali_text, pali_mm))
    gemma_max, pali_text_max, pali_mm_max = (f.max(dim=0).values for f in (gemma, pali_text, pali_mm))
    return [
        {
            "feature_idx": idx,
            "category": category,
            "gemma_mean_activation": gemma_mean[idx].item(),
            "gemma_max_activation": gemma_max[idx].item(),
            "paligemma_text_mean": pali_text_mean[idx].item(),
            "paligemma_text_max": pali_text_max[idx].item(),
            "paligemma_mm_mean": pali_mm_mean[idx].item(),
            "paligemma_mm_max": pali_mm_max[idx].item(),
            "transfer_ratio": pali_text_mean[idx].item() / (gemma_mean[idx].item() + 1e-6),
            "vision_boost": pali_mm_mean[idx].item() / (pali_text_mean[idx].item() + 1e-6),
        }
        for category, indices in feature_classification.items()
        for idx in indices[:50]
    ]


def activation_statistics(mean):
    """Cell 10's last lines: (mean over features, features with any activation)."""
    return mean.mean().item(), int((mean > 0).sum())
