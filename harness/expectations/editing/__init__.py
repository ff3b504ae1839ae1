"""Edits of prompts, the examples drawn with them, and what a feature should do about them: the parts of holds_under."""
