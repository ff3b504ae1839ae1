"""tiny-gemma2: a Gemma 2 of 3 MB and its SAE, trained here, which the tests run on. CARD.md has the figures."""
