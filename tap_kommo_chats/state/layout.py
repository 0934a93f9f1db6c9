"""What the Singer state looks like, and whether a given one is the tap's.

Each stream has a part of its own:

    {"chat_history": {"version": 1,
                      "conversations": {"<conversation id>": "<what is known>", ...},
                      "made_of": "<digest>",
                      "owed": {"<conversation id>": <milliseconds>, ...},
                      "troubles": {"<kind>": {"<conversation id>": <milliseconds>,
                                              ...}, ...},
                      "unread": {"<conversation id>": <milliseconds>, ...},
                      "searched_until": {"<origin>": <milliseconds>, ...},
                      "events": {"<quarter of an hour>": "<count and digest>", ...},
                      "numbers": {"<first> <origin>": <number of the next talk>, ...},
                      "shard": "<number>/<of>"},
     "talk_messages": the same by "<talk's number>",
                      and "chats": {"<digest>": <talk's number>, ...},
     "talks": {"version": 1, "searched_until": {...}, "events": {...},
               "numbers": {...}, "shard": ...},
     "conversations": the same,
     "chat_events": the same,
     "leads": the same, and "rows": {"<number>": "<digest> <hour>", ...},
              "refused": <milliseconds>,
     "users": {"version": 1, "rows": {"<number>": "<digest>", ...}},
     "pipelines": the same,
     "accounts": the same}

`bookmarks` and `known` say what the parts of the messages mean, `troubles` what those
of conversations that could not be read do, `search_mark` what those of each stream that
lives off the search of the CRM do, `written` what `rows` do. `shard` is there when only
one part of the conversations is read. There is no list in it, so that Meltano can merge
two states.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import StateError
from tap_kommo_chats.identifiers import segment_flaw
from tap_kommo_chats.printable import printable
from tap_kommo_chats.sharding import Shard
from tap_kommo_chats.state.known import read_known
from tap_kommo_chats.times import CALENDAR_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MESSAGES = "chat_history"
CONVERSATIONS_STREAM = "conversations"
TALKS = "talks"
LEADS = "leads"
CHAT_EVENTS = "chat_events"
TALK_MESSAGES = "talk_messages"
SEARCHED = (
    *(MESSAGES, TALK_MESSAGES),
    *(CONVERSATIONS_STREAM, TALKS, LEADS, CHAT_EVENTS),
)
"""The streams that live off the search of the CRM, and so keep a mark of it."""

MIRRORED = ("accounts", LEADS, "pipelines", "users")
"""The streams whose rows are written when they differ from what was written."""

RUNS = "runs"
"""A stream that keeps nothing."""

VERSION = "version"
THIS_VERSION = 1
"""Of the layout. It is frozen at the first release: whatever changes a part's meaning
from then on raises it, and older states are taken over."""

CONVERSATIONS = "conversations"
MADE_OF = "made_of"
OWED = "owed"
TROUBLES = "troubles"
UNREAD = "unread"
SEARCHED_UNTIL = "searched_until"
EVENTS = "events"
NUMBERS = "numbers"
REFUSED = "refused"
SHARD = "shard"
ROWS = "rows"
CHATS = "chats"

_SHOWN_AT_MOST = 60
"""Characters of a name or an id that are shown."""

OF_A_SEARCH = (VERSION, SEARCHED_UNTIL, EVENTS, NUMBERS, SHARD)
"""What a mark of searches may have."""

_OF_MESSAGES = (*OF_A_SEARCH, CONVERSATIONS, MADE_OF, OWED, TROUBLES, UNREAD)
_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MIRRORED, (VERSION, ROWS)),
    MESSAGES: _OF_MESSAGES,
    TALK_MESSAGES: (*_OF_MESSAGES, CHATS),
    CONVERSATIONS_STREAM: OF_A_SEARCH,
    TALKS: OF_A_SEARCH,
    LEADS: (*OF_A_SEARCH, ROWS, REFUSED),
    CHAT_EVENTS: OF_A_SEARCH,
    RUNS: (),
}
"""What the part of each stream may have."""


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
    for stream, part in bookmarks.items():
        if stream not in _NAMES:
            problem = (
                f"it has bookmarks of {_shown(stream)}, which is no stream of this tap"
            )
            raise StateError(problem)
        # Some loaders write null for a stream with nothing to keep.
        if part is not None:
            check_part(stream, part, _NAMES[stream])


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
            f"the bookmarks of {stream} have {_shown(unknown[0])}, which this tap does "
            "not write there (it keeps one text per conversation)"
        )
        raise StateError(problem)
    _check_known(part)
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
    for name in (SEARCHED_UNTIL, NUMBERS, CHATS):
        _check_object(name, part.get(name, {}))
    for name in (OWED, UNREAD):
        _check_object(name, part.get(name, {}), has_ids=True)
    if not _is_time(part.get(REFUSED, 0)):
        problem = f"{REFUSED!r} is no time in milliseconds"
        raise StateError(problem)
    troubles = part.get(TROUBLES, {})
    if not isinstance(troubles, dict):
        problem = f"{TROUBLES!r} is not an object"
        raise StateError(problem)
    for kind, times in troubles.items():
        if kind not in _KINDS:
            problem = (
                f"{TROUBLES!r} has {_shown(kind)}, which this tap does not write there"
            )
            raise StateError(problem)
        _check_object(kind, times, has_ids=True)


def _check_object(name: str, times: object, *, has_ids: bool = False) -> None:
    if not isinstance(times, dict):
        problem = f"{name!r} is not an object"
        raise StateError(problem)
    for key, time_ms in times.items():
        if not _is_time(time_ms):
            problem = f"{name!r} has for {_shown(key)} no time in milliseconds"
            raise StateError(problem)
        if has_ids:
            _check_id(name, key)


def _check_known(part: Mapping[str, object]) -> None:
    known = part.get(CONVERSATIONS, {})
    if not isinstance(known, dict):
        problem = f"{CONVERSATIONS!r} is not an object"
        raise StateError(problem)
    for key, written in known.items():
        if not isinstance(written, str) or not _is_known(written):
            problem = (
                f"{CONVERSATIONS!r} has for {_shown(key)} what this tap does not write"
            )
            raise StateError(problem)
        _check_id(CONVERSATIONS, key)
    for name, of_one in ((EVENTS, ".*"), (ROWS, r"\S+( \d{1,12})?")):
        texts = part.get(name, {})
        if not isinstance(texts, dict) or not all(
            isinstance(text, str) and re.fullmatch(of_one, text)
            for text in texts.values()
        ):
            problem = f"{name!r} is not an object of texts"
            raise StateError(problem)
    if not isinstance(part.get(MADE_OF, ""), str):
        problem = f"{MADE_OF!r} is not text"
        raise StateError(problem)


def _is_known(written: str) -> bool:
    known = read_known(written)
    if known is None:
        return False
    times = (known.newest_ms, known.read_ms, known.active_ms, known.acted_ms or 0)
    # One beyond the calendar would fit into no record. A quiet one was read up to an
    # hour later than it says.
    return min(times) >= 0 and max(times) < CALENDAR_MS.stop - HOUR_MS


def _check_id(name: str, id_: str) -> None:
    if flaw := segment_flaw(id_):
        problem = f"{name!r} has an id, {_shown(id_)}, that {flaw}"
        raise StateError(problem)


def _is_time(value: object) -> bool:
    # One beyond the calendar would fit into no record.
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 <= value < CALENDAR_MS.stop
    )


def _shown(name: str) -> str:
    return f"'{printable(name, _SHOWN_AT_MOST)}'"
