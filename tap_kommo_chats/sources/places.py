"""Files on this machine or wherever fsspec reaches, read and replaced as a whole."""

from __future__ import annotations

import gzip
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO, cast
from urllib.parse import urlsplit

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.file_formats import is_packed
from tap_kommo_chats.printable import printable
from tap_kommo_chats.sources.timeouts import timeouts

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "http": "http",
    "https": "http",
}
"""The extra that brings what fsspec needs, by the URL's scheme."""

_SAID_AT_MOST = 200
_OWNER_ONLY = 0o600


@contextmanager
def opened(setting: str, location: str, timeout: int) -> Iterator[TextIO]:
    """Open a text to be read from its beginning.

    Args:
        setting: Which setting names it.
        location: A path or a URL. With .gz at its end it is unpacked.
        timeout: Seconds to wait for a server to connect or to send something.

    Raises:
        RunError: If it cannot be opened, or breaks off.
    """
    # Imported only by those who have such a file.
    import fsspec  # noqa: PLC0415

    with (
        _explained(
            setting,
            location,
            "read",
            "that the file is there and whole, and that this user may read it",
        ),
        fsspec.open(
            location,
            "rt",
            compression="gzip" if is_packed(location) else None,
            encoding="utf-8-sig",
            # A name that is not UTF-8 is one bad line, and not the end of the file.
            errors="surrogateescape",
            **timeouts(location, timeout),
        ) as file,
    ):
        yield cast("TextIO", file)


def is_there(setting: str, location: str, timeout: int) -> bool:
    """Tell whether there is a file, and fail where there could be none.

    Args:
        setting: Which setting names it.
        location: A path or a URL.
        timeout: Seconds to wait for a server.

    Raises:
        RunError: If nobody can tell, or its folder is not there.
    """
    with _explained(setting, location, "found", "and that this user may read it"):
        files, path = _files(location, timeout)
        if _is_here(files):
            # Told before a search rather than after it.
            Path(path).parent.resolve(strict=True)
        try:
            # Not `exists`, which says so of whatever cannot be looked at.
            files.info(path)
        except FileNotFoundError:
            return False
        return True


@contextmanager
def replaced(setting: str, location: str, timeout: int) -> Iterator[TextIO]:
    """Write a text in place of another, which stays until all of it is written.

    Args:
        setting: Which setting names it.
        location: A path or a URL. With .gz at its end it is packed.
        timeout: Seconds to wait for a server.

    Raises:
        RunError: If it cannot be written.
    """
    with _explained(setting, location, "written", "and that this user may write it"):
        files, path = _files(location, timeout)
        is_here = _is_here(files)
        # Its own, so that two who write at once mix nothing; on this machine beside
        # the file, because only from there it can take its place at once.
        beside = Path(path).parent if is_here else None
        with TemporaryDirectory(prefix=".draft-", dir=beside) as folder:
            draft = Path(folder, "draft")
            with _written(draft, location) as text:
                yield text
            if is_here:
                draft.replace(path)
            else:
                files.put_file(str(draft), path)


@contextmanager
def _written(draft: Path, location: str) -> Iterator[TextIO]:
    """Write a text to this machine's disk, for its owner only."""
    draft.touch(_OWNER_ONLY)
    open_text: Any = gzip.open if is_packed(location) else open
    with open_text(draft, "wt", encoding="utf-8") as text:
        yield text
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def _files(location: str, timeout: int) -> tuple[Any, str]:
    """Return fsspec's file system of a place, and what the place is called there."""
    from fsspec.core import url_to_fs  # noqa: PLC0415 (as above)

    files, path = url_to_fs(location, **timeouts(location, timeout))
    # What a link leads to is replaced, and not the link: others may use either.
    return files, str(Path(path).resolve() if _is_here(files) else path)


def _is_here(files: object) -> bool:
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415 (as above)

    return isinstance(files, LocalFileSystem)


@contextmanager
def _explained(setting: str, location: str, done: str, check: str) -> Iterator[None]:
    """Say of what a place does not let happen what is to be done.

    Args:
        setting: Which setting names it.
        location: The place.
        done: What was to be done with it, such as `read`.
        check: What to look at, beside the setting.

    Raises:
        RunError: In place of whatever was raised.
    """
    try:
        yield
    except ImportError as error:
        scheme = urlsplit(location).scheme
        remedy = (
            f"pip install 'tap-kommo-chats[{_EXTRAS[scheme]}]'"
            if scheme in _EXTRAS
            else printable(str(error), _SAID_AT_MOST)
        )
        msg = f"{setting} needs a package for {scheme}:// to be {done}: {remedy}"
        raise RunError(msg) from None
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 (see below)
        # Each of the places fsspec reaches has errors of its own. Their text is left
        # out, because it may quote a signed URL.
        msg = (
            f"{setting} cannot be {done} ({_reason(error)}): check the setting, {check}"
        )
        raise RunError(msg) from None


def _reason(error: BaseException) -> str:
    """Tell why a file cannot be used, by what caused it first."""
    while error.__cause__ is not None:
        error = error.__cause__
    if "timeout" in type(error).__name__.lower():
        return "no answer in time: check the network, or raise request_timeout"
    status, number = getattr(error, "status", None), getattr(error, "errno", None)
    if type(status) is int:
        return f"HTTP {status}"
    return os.strerror(number) if type(number) is int else type(error).__name__
