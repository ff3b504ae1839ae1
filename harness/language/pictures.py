"""Sets of pictures: single files and folders under specs/images, each with a caption.

Nothing is decoded here: a picture is a name and a digest until capture/ opens it (capture/pictures.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from harness.digests import file_digest
from harness.errors import Source, SpecError, did_you_mean, nearest_names
from harness.inputs import Picture, Prompt
from harness.language.mistakes import Mistakes, gathered
from harness.language.nodes import Node, described, is_list, is_text
from harness.language.notext import text_mistake
from harness.language.prompts import Placed
from harness.language.references import Folder, clean

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_BYTES = 20_000_000
HOME = "images"


def listed(node: Node, folder: Folder) -> list[Placed]:
    """`{images: [images/a.png, ...], caption: ...}`: {name} in the caption is a file's name without its suffix."""
    below, caption = node.value["images"], _caption(node)
    items = below.value if is_list(below) else [below]
    errors: list[SpecError] = []
    placed: list[Placed] = []
    for item in items:
        with gathered(errors):
            if not is_text(item):
                raise item.error("wrong_type", f"`images` lists files under specs/{HOME}; this is {described(item)}")
            placed.append(_placed(_file(item, folder), caption, folder, item.source))
    if errors:
        raise Mistakes(errors)
    return placed


def foldered(node: Node, folder: Folder) -> list[Placed]:
    """`{folder: images/photos, caption: "A photo of a {folder}.", per_folder: 3}`: the pictures of each sub-folder (of
    the folder itself where it has none), sorted by name; {folder} in the caption is the sub-folder's name."""
    below, caption, most = node.value["folder"], _caption(node), _per_folder(node)
    top = _directory(below, folder)
    kinds = sorted(p for p in top.iterdir() if p.is_dir() and not p.name.startswith(".")) or [top]
    placed = [
        _placed(path, caption, folder, below.source) for kind in kinds for path in list(_pictures(kind, folder))[:most]
    ]
    if not placed:
        raise below.error("empty_set", f"specs/{below.value} holds no pictures ({', '.join(SUFFIXES)})")
    return placed


def _placed(path: Path, caption: str, folder: Folder, source: Source) -> Placed:
    if path.stat().st_size > MAX_BYTES:  # before it is hashed
        raise SpecError("too_large", f"{folder.shown(path)} has more than {MAX_BYTES:,} bytes", source)
    if clean(str(path)) != str(path):
        raise SpecError("bad_file_name", f"the name of {folder.shown(path)} is not UTF-8; rename the file", source)
    text = caption.replace("{folder}", path.parent.name).replace("{name}", path.stem)
    return Placed(Prompt(text, image=Picture(folder.shown(path), file_digest(path), folder.root.absolute())), source)


def _pictures(kind: Path, folder: Folder) -> Iterator[Path]:
    """Links out of specs/ are left out, as other files are."""
    for path in sorted(kind.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.is_file() and folder.holds(path):
            yield path


def _file(node: Node, folder: Folder) -> Path:
    path = _under_images(node, folder)
    if path.suffix.lower() not in SUFFIXES:
        raise node.error("not_a_picture", f"{node.value!r} is not a picture; {', '.join(SUFFIXES)} are read")
    return _existing(node, folder, path, Path.is_file, "does not exist")


def _directory(node: Node, folder: Folder) -> Path:
    if not is_text(node):
        raise node.error("wrong_type", f"`folder` is a folder under specs/{HOME}; this is {described(node)}")
    return _existing(node, folder, _under_images(node, folder), Path.is_dir, "is no folder")


def _existing(node: Node, folder: Folder, path: Path, is_one: Callable[[Path], bool], wrong: str) -> Path:
    """The path itself; SpecError with the nearest of its kind, or where it is a link out of specs/."""
    if not is_one(path):
        known = sorted(
            clean(p.relative_to(folder.specs).as_posix()) for p in (folder.specs / HOME).rglob("*") if is_one(p)
        )
        near = nearest_names(node.value, known)
        raise node.error("unknown_file", f"specs/{node.value} {wrong}.{did_you_mean(node.value, known)}", near)
    if not folder.holds(path):
        raise node.error("outside_specs", f"{node.value!r} is a link out of specs/; copy what it leads to there")
    return path


def _under_images(node: Node, folder: Folder) -> Path:
    path = folder.inside(node.value, node.source)
    if path.relative_to(folder.specs).parts[:1] != (HOME,):
        raise node.error("outside_images", f"{node.value!r} is not under specs/{HOME}, where pictures lie")
    return path


def _caption(node: Node) -> str:
    caption = node.get("caption")
    if caption is None:
        raise node.error("missing_key", "pictures are read with a text: add `caption`")
    if not is_text(caption) or not caption.value.strip():
        raise caption.error("wrong_type", f"`caption` must be text; it is {described(caption)}")
    if (mistake := text_mistake(caption)) is not None:
        raise mistake
    return str(caption.value)


def _per_folder(node: Node) -> int | None:
    most = node.get("per_folder")
    if most is None:
        return None
    if not isinstance(most.value, int) or isinstance(most.value, bool) or most.value < 1:
        raise most.error("wrong_type", f"`per_folder` is a number of pictures, 1 or more; it is {described(most)}")
    return most.value
