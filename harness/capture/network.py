"""What is fetched from the hub: its client waits for an answer without end unless it is told otherwise."""

from __future__ import annotations

# Between two bytes, not for all of them. Behind a proxy that never answers, huggingface_hub 1.x hung in repo_info.
PATIENCE_S = 20.0


def be_impatient() -> None:
    """Let every request to the hub fail that hears nothing for PATIENCE_S."""
    from huggingface_hub import get_session

    get_session().timeout = PATIENCE_S
