"""tiny-paligemma2: tiny-gemma2 taught to caption pictures, and an SAE of its own. CARD.md has the figures."""
