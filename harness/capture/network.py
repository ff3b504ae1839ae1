"""What is fetched from the hub: its client waits for an answer without end, and takes no setting for that."""

from __future__ import annotations

from typing import Any

# Between two bytes, not for all of them. huggingface_hub asks for a repository with `timeout=None`, so a proxy that
# takes the connection and never answers held a run for ever; downloads have 10 s of their own.
PATIENCE_S = 20.0


def be_impatient() -> None:
    """Let every request to the hub fail that hears nothing for PATIENCE_S."""
    from huggingface_hub import get_session

    asked = get_session().event_hooks["request"]
    if _hurry not in asked:
        asked.append(_hurry)


def _hurry(request: Any) -> None:
    given = request.extensions.get("timeout", {})
    waits = {what: given.get(what) or PATIENCE_S for what in ("connect", "read", "write", "pool")}
    request.extensions = {**request.extensions, "timeout": waits}
