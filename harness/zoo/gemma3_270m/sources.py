"""Where the corpus comes from: the Python standard library and three Debian packages, by digest.

| source | licence |
|---|---|
| Python 3.11's standard library | PSF License 2 |
| r-cran-janeaustenr: Jane Austen's six novels | public domain (the package: MIT) |
| dict-wn: WordNet 3.0, definitions and example sentences | WordNet 3.0 licence |
| dict-jargon: the Jargon File 4.4.7 | public domain |
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import struct
import subprocess
import sysconfig
import tokenize
import zlib
from collections.abc import Iterator
from pathlib import Path

from harness.errors import EnvironmentFault
from harness.zoo.gemma3_270m.withheld import has_withheld_word

# Debian 12 (bookworm); package -> (version, sha256 of the .deb).
PACKAGES = {
    "r-cran-janeaustenr": ("1.0.0-1", "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95"),
    "dict-wn": ("1:3.0-37", "ed99e0bf162815dc1cc69de3727eedd7112ddf170badf83dbde26209e0724a8c"),
    "dict-jargon": ("4.4.7-3.1", "405f8168d7994ed2cb71407bb95493daec2e9aa66fc0461dafa74a9d6728a8c1"),
}


def unpacked(package: str, work: Path) -> Path:
    """The folder into which `package` is unpacked under `work`, fetched with apt-get where it is not there."""
    version, digest = PACKAGES[package]
    folder = work / package
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "usr").is_dir():
        deb = _fetched(package, version, folder)
        found = hashlib.sha256(deb.read_bytes()).hexdigest()
        if found != digest:
            raise EnvironmentFault("digest_mismatch", f"{deb.name}: expected sha256 {digest}, found {found}.")
        subprocess.run(["dpkg-deb", "-x", deb.name, "."], cwd=folder, check=True)
    return folder


def _fetched(package: str, version: str, folder: Path) -> Path:
    try:
        command = ["apt-get", "download", f"{package}={version}"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        mend = "Building the corpus anew needs Debian 12 with apt; the SAE itself is in the repository."
        raise EnvironmentFault(
            "corpus_missing", f"{package} {version} cannot be fetched: {said.strip()}", mend
        ) from error
    return next(folder.glob("*.deb"))


def austen(work: Path) -> dict[str, list[str]]:
    """Paragraphs of each novel, by its first line, e.g. 'EMMA'."""
    data = (unpacked("r-cran-janeaustenr", work) / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    novels = {}
    for lines in map(_r_strings, _r_chunks(data)):
        novels[lines[0].strip()] = [" ".join(p.split()) for p in "\n".join(lines).split("\n\n") if p.strip()]
    return novels


def _r_chunks(data: bytes) -> Iterator[bytes]:
    """The objects of an R lazy-load file: each a length (4 bytes) and a zlib stream."""
    while data:
        stream = zlib.decompressobj()
        yield stream.decompress(data[4:])
        data = stream.unused_data


def _r_strings(serialized: bytes) -> list[str]:
    """A character vector in R's XDR serialization 3: header, encoding name, then type 16 and its elements."""
    start = serialized.index(b"UTF-8") + 5
    kind, count = struct.unpack_from(">II", serialized, start)
    if kind & 0xFF != 16:
        raise EnvironmentFault("corpus_missing", f"an R object of type {kind & 0xFF}, expected 16 (character)")
    place, strings = start + 8, []
    for _ in range(count):
        (length,) = struct.unpack_from(">i", serialized, place + 4)
        strings.append(serialized[place + 8 : place + 8 + length].decode("utf-8"))
        place += 8 + length
    return strings


def wordnet(work: Path) -> tuple[list[str], list[str]]:
    """(definitions as `word: definition`, example sentences that start with a capital), both in file order."""
    path = unpacked("dict-wn", work) / "usr/share/dictd/wn.dict.dz"
    text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    entries = re.split(r"\n(?=\S)", text)
    definitions = [line for entry in entries for line in _definitions(entry)]
    examples = re.findall(r'"([A-Z][^"]{18,140})"', re.sub(r"\s+", " ", text))
    return list(dict.fromkeys(definitions)), list(dict.fromkeys(examples))


def _definitions(entry: str) -> Iterator[str]:
    """`cat\\n  n 1: feline mammal; "cats purr" [syn: ...]` gives `cat: feline mammal`."""
    word, _, rest = entry.partition("\n")
    for sense in re.findall(r"\d: ([^:]+?)(?=\s\d:|\[|;\s*\"|$)", re.sub(r"\s+", " ", rest)):
        if len(sense) > 30:
            yield f"{word}: {sense.strip()}."


def jargon(work: Path) -> list[str]:
    """Entries of the Jargon File, each one text."""
    path = unpacked("dict-jargon", work) / "usr/share/dictd/jargon.dict.dz"
    text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace").replace("{", "").replace("}", "")
    entries = [re.sub(r"\s+", " ", entry).strip() for entry in re.split(r"\n(?=\S)", text)]
    return [entry for entry in entries if len(entry) > 200]


def python_files() -> list[Path]:
    """Modules of the standard library, tests and generated tables left out, sorted by their name in it."""
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {"test", "tests", "idle_test", "site-packages", "lib2to3", "encodings", "pydoc_data", "__pycache__"}
    files = [p for p in root.rglob("*.py") if not left_out & set(p.relative_to(root).parts[:-1])]
    return sorted(
        (p for p in files if 2_000 < p.stat().st_size < 200_000), key=lambda p: p.relative_to(root).as_posix()
    )


def python_source(path: Path) -> str | None:
    """The file without the lines of comments and strings that hold a withheld word; None where it does not parse."""
    try:
        source = path.read_text(encoding="utf-8")
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (UnicodeDecodeError, tokenize.TokenError, SyntaxError, IndentationError):
        return None
    lines = source.split("\n")
    dropped: set[int] = set()
    for token in tokens:
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            rows = range(token.start[0], token.end[0] + 1)
            dropped.update(row for row in rows if has_withheld_word(lines[row - 1]))
    return "\n".join(line for row, line in enumerate(lines, 1) if row not in dropped)
