"""How features carry over from one model to another that shares its tokenizer and SAE, for all features at once.

`ratio` compares means over tokens, as the source notebook does; `aligned` compares the same tokens in both models.
"""
