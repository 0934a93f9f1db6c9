"""What an id must be like to stand in the path of a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tap_kommo_chats.printable import is_printable

if TYPE_CHECKING:
    from collections.abc import Iterator

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""What Kommo's ids look like, in lower case."""

ID_AT_MOST = 255
"""Characters. Kommo's own have 36 (73 a scope's), and many warehouses take no longer
keys."""

_UUID = re.compile(UUID, re.IGNORECASE)
_PLAIN = re.compile(rf"[0-9A-Za-z_-]{{1,{ID_AT_MOST}}}")


def normal_id(text: str) -> str:
    """Write an id as Kommo does, so that it is one conversation wherever it comes from.

    Args:
        text: An id.

    Returns:
        A UUID in lower case; any other as it is.
    """
    return text.lower() if _UUID.fullmatch(text) else text


def segment_flaw(text: str) -> str | None:
    """Tell why a text cannot be one segment of a URL's path.

    Args:
        text: An id.

    Returns:
        What is wrong with it, as the end of a sentence; None when nothing is.
    """
    # Nearly all are plain, and a state has very many.
    return None if _PLAIN.fullmatch(text) else next(_flaws(text), None)


def _flaws(text: str) -> Iterator[str]:
    if not text:
        yield "is empty"
    if len(text) > ID_AT_MOST:
        yield f"is longer than {ID_AT_MOST} characters"
    if text in {".", ".."}:
        yield "would change the path"
    if found := re.search(r"[/?#\\]|\.\.", text):
        yield f"has {found.group()!r} in it, which would change the path"
    # It stands in lines of the log too.
    if not is_printable(text):
        yield "has a control character in it, or another that does not show"
    if text != text.strip():
        yield "begins or ends with white space"
