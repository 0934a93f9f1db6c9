"""What an id must be like to stand in the path of a request."""

from __future__ import annotations

import re

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""What Kommo's ids look like, in lower case."""


def normal_id(text: str) -> str:
    """Write an id as Kommo does, so that it is one conversation wherever it comes from.

    Args:
        text: An id.

    Returns:
        A UUID in lower case; any other as it is.
    """
    return text.lower() if re.fullmatch(UUID, text, re.IGNORECASE) else text


def segment_flaw(text: str) -> str | None:
    """Tell why a text cannot be one segment of a URL's path.

    Args:
        text: An id.

    Returns:
        What is wrong with it, as the end of a sentence; None when nothing is.
    """
    if not text:
        return "is empty"
    if text in {".", ".."}:
        return "would change the path"
    if found := re.search(r"[/?#\\]|\.\.", text):
        return f"has {found.group()!r} in it, which would change the path"
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text):
        return "has a control character in it"
    if text != text.strip():
        return "begins or ends with white space"
    return None
