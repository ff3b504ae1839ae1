"""Small copies of pictures for the page, drawn anew: never the bytes of a file that a stranger may have written."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import EnvironmentFault
from harness.inputs import Picture
from harness.reports.display import one_line

MAX_BYTES = 10_000
_SIDES = (224, 160, 112)
# Drawings are smallest as PNG, photographs as JPEG.
_FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PNG", {"optimize": True}),
    ("JPEG", {"quality": 80}),
    ("JPEG", {"quality": 55}),
)


def thumbnails(paths: Mapping[str, str], open_picture: Callable[[Picture], Any] | None) -> dict[str, str]:
    """Per digest a data URI of at most MAX_BYTES of picture; where there can be none, the reason in words.

    open_picture: gives a PIL image in RGB, or raises EnvironmentFault.
    """
    if open_picture is None:
        return {}
    return {digest: _shown(Picture(path, digest), open_picture) for digest, path in paths.items()}


def _shown(picture: Picture, open_picture: Callable[[Picture], Any]) -> str:
    try:
        return data_uri(open_picture(picture))
    except EnvironmentFault as fault:
        return one_line(fault.message, 300)


def data_uri(image: Any) -> str:
    """PNG where that is small (drawings), else the best JPEG that fits. The shape stays that of the picture."""
    for side in _SIDES:
        small = image.copy()
        small.thumbnail((side, side))
        for form, options in _FORMS:
            out = io.BytesIO()
            small.save(out, form, **options)
            if out.tell() <= MAX_BYTES:
                return f"data:image/{form.lower()};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
    return "it cannot be made small enough to be shown here"
