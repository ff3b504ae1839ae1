"""The small trained models and SAEs that ship, and the code that trained them. Nothing of the harness imports it."""
