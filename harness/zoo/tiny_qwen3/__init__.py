"""tiny-qwen3: a Qwen 3 of 3 MB without BOS, and its TopK SAE in Qwen-Scope's own format. CARD.md has the figures."""
