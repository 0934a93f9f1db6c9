"""How fsspec's file systems ask a server, and how long they wait, each in its words."""

from __future__ import annotations

import re
from typing import Any

_TOTAL_AT_LEAST = 300
"""Seconds that one answer over HTTP may take in all, as it is without the setting."""

_FAMILIES = (("http", "https"), ("s3", "s3a"), ("gs", "gcs"))
"""Names of one place, each."""


def timeouts(location: str, seconds: int) -> dict[str, Any]:
    """Say to fsspec how long to wait for a server to connect or to send something.

    HTTP, S3 and Google Cloud Storage take it. Azure's files and all other places keep
    to their own times.

    Args:
        location: A path or a URL, perhaps several that are joined by `::`.
        seconds: How long.

    Returns:
        Arguments for `fsspec.open`, by the schemes of the location.

    Raises:
        ImportError: If the package for one of them is missing.
    """
    schemes = set(re.findall(r"(?:^|::)(\w+)://", location))
    return {
        scheme: _arguments(family, seconds)
        for family in _FAMILIES
        for scheme in schemes.intersection(family)
    }


def _arguments(family: tuple[str, str], seconds: int) -> dict[str, Any]:
    name, value = _own_words(family[0], seconds)
    from fsspec.config import conf  # noqa: PLC0415 (few list conversations in a file)

    # What the environment says to fsspec of the place is not lost by it.
    for scheme in family:
        given = conf.get(scheme, {}).get(name)
        if isinstance(value, dict) and isinstance(given, dict):
            value = {**value, **given}
        elif given is not None:
            value = given
    # Read as it comes: in blocks, a server without ranges gives the first one only.
    stream = {"block_size": 0} if family[0] == "http" else {}
    return {name: value, **stream}


def _own_words(place: str, seconds: int) -> tuple[str, Any]:
    if place == "s3":
        return "config_kwargs", {"connect_timeout": seconds, "read_timeout": seconds}
    import aiohttp  # noqa: PLC0415 (both of these bring it)

    timeout = aiohttp.ClientTimeout(
        total=max(_TOTAL_AT_LEAST, seconds), connect=seconds, sock_read=seconds
    )
    if place == "gs":
        return "requests_timeout", timeout
    return "client_kwargs", {"timeout": timeout}
