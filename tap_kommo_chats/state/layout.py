"""What the Singer state looks like, and whether a given one is the tap's.

Each stream has a part of its own:

    {"chat_history": {"version": 1,
                      "conversations": {"<conversation id>": <milliseconds>, ...},
                      "read_since": <milliseconds>,
                      "owed": {"<conversation id>": <milliseconds>, ...},
                      "troubles": {"<kind>": {"<conversation id>": <milliseconds>,
                                              ...}, ...},
                      "unread": {"<conversation id>": <milliseconds>, ...},
                      "searched_until": {"<origin>": <milliseconds>, ...},
                      "shard": "<number>/<of>"},
     "talks": {"version": 1, "searched_until": {...}, "shard": ...},
     "conversations": the same}

`bookmarks` says what the parts of the messages mean, `troubles` what those of
conversations that could not be read do, `search_mark` those of each stream that lives
off the search of the CRM. `shard` is there when only one part of the conversations is
read. All of it are objects of numbers, so that Meltano can merge two states.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import StateError
from tap_kommo_chats.sharding import Shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MESSAGES = "chat_history"
CONVERSATIONS_STREAM = "conversations"
TALKS = "talks"
"""The streams with a part of the state. All but the messages keep a mark only."""

VERSION = "version"
THIS_VERSION = 1
"""Of the layout. It is frozen at the first release: whatever changes a part's meaning
from then on raises it, and older states are taken over."""

CONVERSATIONS = "conversations"
READ_SINCE = "read_since"
OWED = "owed"
TROUBLES = "troubles"
UNREAD = "unread"
SEARCHED_UNTIL = "searched_until"
SHARD = "shard"

_OF_ALL = (VERSION, SEARCHED_UNTIL, SHARD)
_OF_MESSAGES = (*_OF_ALL, CONVERSATIONS, READ_SINCE, OWED, TROUBLES, UNREAD)


class Trouble(str, Enum):
    """What keeps a conversation from being read.

    Attributes:
        FAILING: It could not be read, whoever was to blame.
        REFUSED: Kommo answered nothing but 400, 403 or 404.
        SILENT: Kommo says that it has no message, and is known to be wrong.
        EMPTIED: It had messages when it was read, and in one run it had none.
        GONE: It had none in a later run either. Nobody owes it any more.
        GIVEN_UP: It was refused for too long. Nobody owes it any more.
    """

    FAILING = "failing"
    REFUSED = "refused"
    SILENT = "silent"
    EMPTIED = "emptied"
    GONE = "gone"
    GIVEN_UP = "given_up"


_KINDS = frozenset(kind.value for kind in Trouble)


def check_state(state: object) -> None:
    """Check a whole state before the SDK takes it apart.

    Args:
        state: The state the tap was given; None and {} are an empty one.

    Raises:
        StateError: If it is not one this tap wrote.
    """
    if not state:
        return
    bookmarks = state.get("bookmarks") if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict):
        problem = 'it is not an object with "bookmarks"'
        raise StateError(problem)
    names = {MESSAGES: _OF_MESSAGES, CONVERSATIONS_STREAM: _OF_ALL, TALKS: _OF_ALL}
    for stream, part in bookmarks.items():
        if stream not in names:
            problem = f"it has bookmarks of {stream!r}, which is no stream of this tap"
            raise StateError(problem)
        # Some loaders write null for a stream with nothing to keep.
        if part is not None:
            check_part(stream, part, names[stream])


def check_part(stream: str, part: object, names: Iterable[str] = _OF_MESSAGES) -> None:
    """Check one stream's part of a state.

    Raises:
        StateError: If it is not one this tap wrote.
    """
    if not isinstance(part, dict):
        problem = f"the bookmarks of {stream!r} are not an object"
        raise StateError(problem)
    _check_version(part)
    if unknown := sorted(set(part) - set(names)):
        problem = (
            f"the bookmarks of {stream} have {unknown[0]!r}, which this tap does not "
            "write there (it keeps one time per conversation)"
        )
        raise StateError(problem)
    _check_times(part)
    try:
        Shard.parse(part.get(SHARD, "1/1"))
    except ValueError:
        problem = f"{SHARD!r} is not a shard such as 2/8"
        raise StateError(problem) from None


def _check_version(part: Mapping[str, object]) -> None:
    version = part.get(VERSION, THIS_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        problem = f"{VERSION!r} is not a whole number from 1 on"
        raise StateError(problem)
    if version > THIS_VERSION:
        problem = (
            f"it is of version {version}, which a newer tap wrote, and this one knows "
            f"versions up to {THIS_VERSION}: install the newer tap again"
        )
        raise StateError(problem)


def _check_times(part: Mapping[str, object]) -> None:
    for name in (CONVERSATIONS, OWED, UNREAD, SEARCHED_UNTIL):
        _check_object(name, part.get(name, {}))
    troubles = part.get(TROUBLES, {})
    if not isinstance(troubles, dict):
        problem = f"{TROUBLES!r} is not an object"
        raise StateError(problem)
    for kind, times in troubles.items():
        if kind not in _KINDS:
            problem = f"{TROUBLES!r} has {kind!r}, which this tap does not write there"
            raise StateError(problem)
        _check_object(kind, times)
    needs_start = part.get(CONVERSATIONS) or READ_SINCE in part
    if needs_start and not _is_time(part.get(READ_SINCE)):
        problem = f"{READ_SINCE!r} is missing or not a time in milliseconds"
        raise StateError(problem)


def _check_object(name: str, times: object) -> None:
    if not isinstance(times, dict):
        problem = f"{name!r} is not an object"
        raise StateError(problem)
    for key, time_ms in times.items():
        if not _is_time(time_ms):
            problem = f"{name!r} has for {key!r} no time in milliseconds"
            raise StateError(problem)


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
