"""From a configuration to what of the records is masked.

It is read apart from the other settings, because discovery, which does without those,
shows the schemas of masked records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.settings.reader import Reader
from tap_kommo_chats.settings.values import MaskSettings

if TYPE_CHECKING:
    from tap_kommo_chats.settings.reader import Config

_SHORTEST_SECRET = 16
"""Characters. Of phone numbers and their hashes a shorter one can be guessed."""


def parse_masks(config: Config) -> tuple[MaskSettings, list[str]]:
    """Check what a configuration says of masks.

    Whether there are such fields is not known here.

    Returns:
        What can be used of it; and what is wrong with the rest, one line each.
    """
    reader = Reader(config)
    dropped, hashed = _paths(reader, "drop_fields"), _paths(reader, "hash_fields")
    secret = _secret(reader) if hashed else ""
    return MaskSettings(dropped, hashed, secret), reader.problems


def _paths(reader: Reader, name: str) -> tuple[str, ...]:
    given = reader.config.get(name)
    if given is None:
        return ()
    if not isinstance(given, list) or not all(
        isinstance(path, str) and path.strip() for path in given
    ):
        reader.problems.append(
            f"{name} is not a list of texts: write the paths of fields, such as "
            '["sender.phone", "talks:origin"]'
        )
        return ()
    return tuple(dict.fromkeys(path.strip() for path in given))


def _secret(reader: Reader) -> str:
    what = "a long random text of your own, which stays the same from run to run"
    secret = reader.text("hash_secret", what)
    if secret is None:
        return ""
    if secret != secret.strip():
        reader.problems.append(
            "hash_secret begins or ends with white space: write it without"
        )
    elif len(secret) < _SHORTEST_SECRET:
        reader.problems.append(
            f"hash_secret is shorter than {_SHORTEST_SECRET} characters and could be "
            f"guessed: write {what}"
        )
    return secret
