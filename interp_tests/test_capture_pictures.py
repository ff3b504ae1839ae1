"""A stranger's picture: decoded as meant, or refused in one clear message; never a surprise."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from harness.capture.pictures import MAX_PIXELS, MAX_SIDE, open_picture
from harness.errors import EnvironmentFault
from harness.inputs import Picture


@pytest.fixture
def place(tmp_path):
    def put(data, name="a.png"):
        (tmp_path / name).write_bytes(data)
        return Picture(str(tmp_path / name), hashlib.sha256(data).hexdigest())

    return put


def encoded(image, kind="PNG", **more):
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def gradient(mode="RGB", size=(8, 6)):
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    rgb[..., 0] = np.linspace(0, 255, size[0])[None]
    return Image.fromarray(rgb).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_any_mode_comes_out_as_rgb(place, mode):
    """Palettes, grays and bits are what a viewer shows."""
    opened = open_picture(place(encoded(gradient(mode))))
    assert opened.mode == "RGB"
    assert np.array_equal(np.asarray(opened), np.asarray(gradient(mode).convert("RGB")))


def test_cmyk_is_converted(place):
    """A JPEG for print is read as RGB, red where it is red."""
    red = Image.new("RGB", (16, 16), (220, 20, 20)).convert("CMYK")
    pixel = np.asarray(open_picture(place(encoded(red, "JPEG"), "a.jpg")))[8, 8]
    assert pixel[0] > 180
    assert pixel[1] < 80


def test_sixteen_bits_are_scaled(place):
    """A 16-bit gray keeps its shades; clipping would make all of it white."""
    gray = Image.fromarray(np.array([[0, 32768, 65535]], np.uint16))
    assert np.asarray(open_picture(place(encoded(gray))))[0, :, 0].tolist() == [0, 128, 255]


def test_transparency_lies_on_white(place):
    """What cannot be seen does not come out black."""
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert np.asarray(open_picture(place(encoded(clear)))).min() == 255


def test_exif_orientation_is_followed(place):
    """A picture taken sideways stands upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = open_picture(place(encoded(gradient(size=(8, 6)), "JPEG", exif=exif), "a.jpg"))
    assert opened.size == (6, 8)
    assert open_picture(place(encoded(gradient(size=(8, 6)), "JPEG"), "b.jpg")).size == (8, 6)


def fault_of(picture):
    with pytest.raises(EnvironmentFault) as caught:
        open_picture(picture)
    assert picture.path in caught.value.message
    return caught.value.code


@pytest.mark.parametrize("size", [(30_000, 30_000), (30_000, 10), (MAX_SIDE, MAX_PIXELS // MAX_SIDE + 1)])
def test_a_huge_picture_is_refused_before_it_is_decoded(place, size, monkeypatch):
    """The header decides: a few kilobytes may claim a billion pixels."""
    data = encoded(Image.new("1", size), "PNG") if size[0] * size[1] < 10**8 else _bomb(size)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert fault_of(place(data)) == "picture_too_large"


def _bomb(size):
    """A PNG whose header claims `size`, and which has next to no data."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_picture_is_refused(place, kind):
    """Half a file is not half a picture."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    assert fault_of(place(data[: len(data) // 2])) == "picture_unreadable"
    open_picture(place(data, "whole"))


@pytest.mark.parametrize("data", [b"", b"not a picture", b"GIF89a" + b"\0" * 50, b"%PDF-1.4"])
def test_other_files_are_refused_whatever_their_name(place, data):
    """The bytes decide, not the suffix."""
    assert fault_of(place(data)) == "picture_unreadable"


def test_an_animation_is_refused(place):
    """Which frame was meant, nobody said."""
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert fault_of(place(data)) == "picture_animated"


def test_a_picture_that_changed_since_is_refused(place, tmp_path):
    """The key says which bytes were meant."""
    picture = place(encoded(gradient()))
    (tmp_path / "a.png").write_bytes(encoded(gradient(size=(9, 6))))
    assert fault_of(picture) == "picture_changed"
    assert fault_of(Picture(str(tmp_path / "gone.png"), "0")) == "picture_missing"
