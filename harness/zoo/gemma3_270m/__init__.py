"""The SAE of Gemma 3 270M (Q4_K_M), layer 9, and the code that made it: `python -m harness.zoo.gemma3_270m.build`."""
