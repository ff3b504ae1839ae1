"""A stranger's picture file -> RGB pixels, or one clear fault; nothing is decoded before its size is known."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import EnvironmentFault
from harness.inputs import Picture
from harness.repository import located

# A photograph of a large camera has 50 million pixels; models read 224 x 224 to 896 x 896 of them.
MAX_SIDE, MAX_PIXELS, MAX_BYTES = 16_384, 60_000_000, 20_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
WHITE = (255, 255, 255)


def open_picture(picture: Picture) -> Any:
    """The picture as a PIL image in RGB, turned as its EXIF orientation says, on white where it is transparent.

    Raises EnvironmentFault `picture_missing`, `picture_changed`, `picture_too_large`, `picture_animated` or
    `picture_unreadable`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    data = _bytes(picture)
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower and says more
            _check_header(picture, image)
            image.load()
            turned = ImageOps.exif_transpose(image) or image
            return _in_rgb(turned)
    except EnvironmentFault:
        raise
    except UnidentifiedImageError as error:
        raise _unreadable(picture, f"it is none of {', '.join(FORMATS)}, whatever its name says") from error
    except Image.DecompressionBombError as error:
        raise _too_large(picture, "more pixels than any photograph") from error
    except Exception as error:  # decoders raise anything on a damaged file: OSError, SyntaxError, struct.error
        raise _unreadable(picture, f"{type(error).__name__}: {error}") from error


def _bytes(picture: Picture) -> bytes:
    path = located(picture.path, picture.root)
    try:
        data = _at_most(path, MAX_BYTES + 1)
    except OSError as error:
        text = f"the picture {picture.path} cannot be read: {error.strerror or error}."
        raise EnvironmentFault("picture_missing", text, "Put it back, or take it out of the set.") from error
    if len(data) > MAX_BYTES:
        raise _too_large(picture, f"over {MAX_BYTES:,} bytes")
    if hashlib.sha256(data).hexdigest() != picture.digest:
        text = f"the picture {picture.path} has changed since the specs were read."
        raise EnvironmentFault("picture_changed", text, "Run again.")
    return data


def _at_most(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def _check_header(picture: Picture, image: Any) -> None:
    """From the header alone: a small file may claim a billion pixels."""
    width, height = image.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise _too_large(picture, f"{width:,} x {height:,} pixels")
    if getattr(image, "n_frames", 1) > 1:
        raise EnvironmentFault(
            "picture_animated", f"the picture {picture.path} has {image.n_frames} frames.", "Save one of them."
        )


def _in_rgb(image: Any) -> Any:
    """RGB of any mode: 16-bit grays are scaled (PIL alone would clip them), transparency lies on white."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        gray = np.asarray(image, np.float64)
        top = 65535.0 if gray.max(initial=0) > 255 else 255.0
        image = Image.fromarray(np.clip(gray / top * 255, 0, 255).round().astype(np.uint8), "L")
    if "A" in image.getbands() or "transparency" in image.info:
        above = image.convert("RGBA")
        below = Image.new("RGBA", above.size, (*WHITE, 255))
        image = Image.alpha_composite(below, above)
    return image.convert("RGB")


def _too_large(picture: Picture, size: str) -> EnvironmentFault:
    return EnvironmentFault(
        "picture_too_large",
        f"the picture {picture.path} has {size}; at most {MAX_SIDE:,} a side, {MAX_PIXELS:,} pixels in all and "
        f"{MAX_BYTES:,} bytes are read.",
        "Make it smaller: models read it at 896 x 896 or less.",
    )


def _unreadable(picture: Picture, why: str) -> EnvironmentFault:
    return EnvironmentFault(
        "picture_unreadable", f"the picture {picture.path} cannot be decoded: {why}.", "Replace it."
    )
