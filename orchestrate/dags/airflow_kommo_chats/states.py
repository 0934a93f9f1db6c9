"""The states of an account whose number of shards was changed. All of it is pure.

A conversation is in the shard that its digest leaves as a remainder. So a new shard
shares conversations with an old one if both leave the same remainder by what divides
both numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SEARCHED_UNTIL, _NUMBERS, _EVENTS = "searched_until", "numbers", "events"
_SHARD, _CHATS = "shard", "chats"


@dataclass(frozen=True)
class Move:
    """From the states of some shards to one that holds all that they hold.

    Attributes:
        sources: Their ids.
        state_id: The id of the new one.
        shard: Of which shard it is, which may be larger than the one it is for: the tap
            leaves out what is of others.
        is_complete: Whether all shards that belong to it have a state.
        without: Streams whose part is left out.
    """

    sources: tuple[str, ...]
    state_id: str
    shard: str
    is_complete: bool = True
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moves:
    """What has to be done before an account is read.

    Attributes:
        to_make: The states to make, from those that are there.
        to_clear: The ids of those to clear after that.
    """

    to_make: tuple[Move, ...] = ()
    to_clear: tuple[str, ...] = ()


def state_id(account: str, shard: str) -> str:
    """Name the state of a shard.

    Args:
        account: The account's name.
        shard: Such as `2/8`.
    """
    return f"kommo-{account}-{shard.replace('/', 'of')}"


def search_id(account: str) -> str:
    """Name the state of the search of an account."""
    return f"kommo-{account}-search"


def plan_moves(
    account: str,
    shards: int,
    known: Iterable[str],
    left_to_readings: Sequence[str] | None = None,
) -> Moves:
    """Say what has to be done before an account is read in so many shards.

    When all states of that number are there, they were made, and only clearing the
    others may be left. When some are, no shard was loaded since, and all are made
    again.

    Args:
        account: The account's name.
        shards: Into how many shards it is divided.
        known: The ids of all states.
        left_to_readings: The streams that a search of its own has nothing of; None
            where there is no such search.
    """
    known = set(known)
    numbers = _by_number(account, known)
    here = numbers.pop(shards, {})
    others = tuple(sorted(id_ for ids in numbers.values() for id_ in ids.values()))
    is_moved = len(here) == shards or not numbers
    # Only one other number is there, unless somebody copied by hand.
    old = max(numbers, key=lambda of: (len(numbers[of]) == of, of), default=shards)
    states = here if is_moved else numbers[old]
    to_make = []
    if left_to_readings is not None and search_id(account) not in known and states:
        to_make.append(
            Move(
                tuple(states[number] for number in sorted(states)),
                search_id(account),
                "1/1",
                len(states) == (shards if is_moved else old),
                tuple(left_to_readings),
            )
        )
    if not is_moved:
        to_make.extend(_spread(account, shards, states, old))
    return Moves(tuple(to_make), others)


def _by_number(account: str, known: Iterable[str]) -> dict[int, dict[int, str]]:
    """Sort the ids of an account's shards by how many there are."""
    found: dict[int, dict[int, str]] = {}
    pattern = re.compile(re.escape(f"kommo-{account}-") + r"([0-9]+)of([0-9]+)")
    for id_ in known:
        if match := pattern.fullmatch(id_):
            found.setdefault(int(match[2]), {})[int(match[1])] = id_
    return found


def _spread(
    account: str, shards: int, states: Mapping[int, str], old: int
) -> Iterable[Move]:
    """Say which old states each new shard is made of."""
    common = math.gcd(shards, old)
    for number in range(1, shards + 1):
        sources = tuple(
            states[other] for other in sorted(states) if (other - number) % common == 0
        )
        if sources:
            yield Move(
                sources,
                state_id(account, f"{number}/{shards}"),
                f"{(number - 1) % common + 1}/{common}",
                len(sources) == old // common,
            )


def merged(move: Move, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make one state of several, of which each knows other conversations.

    The CRM counts as searched up to the earliest time that any of them has, and what
    was acted on since then is acted on again.

    Args:
        move: What the state is for.
        states: The Singer states of its sources.
    """
    parts: dict[str, dict[str, Any]] = {}
    for state in states:
        for stream, part in (state.get("bookmarks") or {}).items():
            if part and stream not in move.without:
                parts[stream] = (
                    _joined(parts[stream], part) if stream in parts else part
                )
    return {
        "bookmarks": {
            stream: _labelled(part, move.shard, is_complete=move.is_complete)
            for stream, part in parts.items()
        }
    }


def _labelled(
    part: Mapping[str, Any], shard: str, *, is_complete: bool
) -> dict[str, Any]:
    labelled = dict(part)
    if labelled.pop(_SHARD, None) and shard != "1/1":
        labelled[_SHARD] = shard
    if not is_complete:
        # What only the missing ones would know has to be found again.
        _forget_search(labelled)
        labelled.pop(_NUMBERS, None)
    return labelled


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**one, **other}
    for name in one.keys() & other.keys():
        mine, others = one[name], other[name]
        if name in {_SEARCHED_UNTIL, _NUMBERS}:
            # One that only some know was never searched for by the others.
            joined[name] = {
                origin: min(mine[origin], others[origin])
                for origin in mine.keys() & others.keys()
            }
        elif name == _EVENTS:
            joined[name] = mine if mine == others else {}
        elif name == _CHATS:
            # Several shards read talks of one chat: what counts is its last.
            last = {
                chat: max(mine[chat], others[chat]) for chat in mine.keys() & others
            }
            joined[name] = {**mine, **others, **last}
        elif isinstance(mine, dict) and isinstance(others, dict):
            joined[name] = _together(mine, others)
    if (_SEARCHED_UNTIL in one) != (_SEARCHED_UNTIL in other):
        _forget_search(joined)
    if (_NUMBERS in one) != (_NUMBERS in other):
        joined.pop(_NUMBERS, None)
    return joined


def _forget_search(part: dict[str, Any]) -> None:
    part.pop(_SEARCHED_UNTIL, None)
    part.pop(_EVENTS, None)


def _together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict) and isinstance(other[name], dict):
            both[name] = {**one[name], **other[name]}
    return both
