"""interp-specs: unit tests for claims about what a language model's features encode.

`from harness import open_subject` is the door for notebooks and scripts; harness/explore.py has the rest.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["open_subject"]


def __getattr__(name: str) -> Any:
    """Imported when it is asked for: this file runs before every command, and numpy is not free."""
    if name in __all__:
        from harness import explore

        return getattr(explore, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
