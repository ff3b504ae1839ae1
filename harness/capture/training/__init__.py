"""Training an SAE with sae-lens where none is published: `run.train_sae(config)`, its own explicit command."""
