"""Which lists of conversations the tap can read, by the name of the file."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

FILE_FORMATS = (".txt", ".csv", ".jsonl")


def file_format(location: str) -> str | None:
    """Tell a file's format from its name.

    Args:
        location: A path or URL. A `.gz` at its end is looked through.

    Returns:
        One of `FILE_FORMATS`; None when it is another.
    """
    name = PurePosixPath(_path(location).replace("\\", "/").removesuffix(".gz"))
    return name.suffix if name.suffix in FILE_FORMATS else None


def is_packed(location: str) -> bool:
    """Tell whether a file has to be unpacked, from its name."""
    return _path(location).endswith(".gz")


def _path(location: str) -> str:
    path = urlsplit(location).path if "://" in location else location
    return path.lower()
