"""The files that the command line names: settings, state and catalog."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from singer_sdk.helpers._util import load_json

from tap_kommo_chats.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def readable(option: str) -> Iterator[None]:
    """Name the option when the file that it names cannot be read in the block.

    Raises:
        SettingsError: If it cannot.
    """
    try:
        yield
    except (OSError, ValueError, TypeError, RecursionError) as error:
        problem = (
            f"{option} names a file that cannot be read ({type(error).__name__}): "
            "check that it is there, and that it is one JSON object in UTF-8"
        )
        raise SettingsError([problem]) from None


def json_object(option: str, file: IO[str] | None) -> IO[str] | None:
    """Look into a file before the SDK does, which has no words for what is wrong.

    Args:
        option: The option that names it.
        file: The file; None when none was named.

    Returns:
        A file of the same content; None when there is none.

    Raises:
        SettingsError: If it cannot be read.
    """
    if file is None:
        return None
    with readable(option):
        text = file.read()
        value = load_json(text)
        if value is not None and not isinstance(value, dict):
            raise TypeError
    return None if value is None else io.StringIO(text)
