"""The torch floor: models, SAEs, hooks, encoding. Reads, never changes; knows nothing of claims."""
