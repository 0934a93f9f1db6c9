"""What can be told of talks and conversations, worked out from lists."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.transform.waits import Wait, waits_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.transform.people import Message, People
    from tests.transform.world import Row

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all times are in UTC, as they are loaded
_KINDS = ("customer", "agent", "bot", "unknown")


class Talks:
    """Talks and conversations, worked out from messages and waits."""

    def __init__(self, people: People) -> None:
        """Work out the waits.

        Args:
            people: The messages.
        """
        self.people = people
        self.messages = people.messages
        self.waits = waits_of(people)

    def talks(self) -> list[Row]:
        """`kommo_talks`: what can be told of each talk, for the columns named here."""
        messages = grouped(
            [m for m in self.messages if m.talk_id is not None],
            lambda m: (m.conversation_id, m.talk_id),
        )
        waits = grouped(
            [w for w in self.waits if w.talk_id is not None],
            lambda w: (w.conversation_id, w.talk_id),
        )
        closings: dict[Any, list[datetime]] = defaultdict(list)
        known = dict.fromkeys(messages)
        for event in self.people.events:
            key = event.conversation_id, event.row["talk_id"]
            known[key] = None
            if event.row["type"] == "talk_closed":
                closings[key].append(event.at)
        rows_of = {}
        for row in self.people.world.rows("talks"):
            rows_of[row["chat_id"], row["talk_id"]] = row
        return [
            _talk(
                key,
                messages.get(key, []),
                waits.get(key, []),
                sorted(closings[key]),
                rows_of.get(key),
            )
            for key in {**known, **dict.fromkeys(rows_of)}
        ]

    def conversations(self) -> list[Row]:
        """`kommo_conversations`: who has to act, and on what."""
        said = grouped(self.messages, lambda m: (m.conversation_id,))
        waits = grouped(self.waits, lambda w: (w.conversation_id,))
        talks = grouped(self.talks(), lambda t: (t["conversation_id"],))
        return [
            self._conversation(
                key[0], said.get(key, []), waits.get(key, []), talks.get(key, [])
            )
            for key in {**said, **talks}
        ]

    def _conversation(
        self,
        conversation_id: str,
        messages: list[Message],
        waits: list[Wait],
        talks: list[Row],
    ) -> Row:
        latest = max(talks, key=self._began, default=None)
        leads = [
            (self._began(talk), lead_id)
            for talk in talks
            if (lead_id := self._lead_of(talk, messages)) is not None
        ]
        return {
            "conversation_id": conversation_id,
            "has_to_act": _has_to_act(messages, waits, latest),
            "last_message_at": max((m.sent_at for m in messages), default=None),
            **volumes(messages),
            "talks": len(talks),
            "waits": len(waits),
            "waits_answered": sum(w.state == "answered" for w in waits),
            "latest_talk_id": latest["talk_id"] if latest else None,
            "is_latest_talk_open": latest["is_open"] if latest else None,
            "lead_id": max(leads)[1] if leads else None,
        }

    def _lead_of(self, talk: Row, messages: list[Message]) -> int | None:
        row = self._row_of(talk)
        if row is not None:
            return row["entity_id"] if row["entity_type"] == "lead" else None
        ids = [m.lead_id for m in messages if m.talk_id == talk["talk_id"]]
        return max((each for each in ids if each is not None), default=None)

    def _row_of(self, talk: Row) -> Row | None:
        for row in self.people.talks_of.get(talk["conversation_id"], ()):
            if row["talk_id"] == talk["talk_id"]:
                return row
        return None

    def _began(self, talk: Row) -> tuple[datetime, int]:
        row = self._row_of(talk)
        if row is not None:
            return _EPOCH + timedelta(seconds=row["created_at"]), talk["talk_id"]
        first = min(
            (
                m.sent_at
                for m in self.messages
                if m.talk_id == talk["talk_id"]
                and m.conversation_id == talk["conversation_id"]
            ),
            default=_EPOCH,
        )
        return first, talk["talk_id"]


def _has_to_act(messages: list[Message], waits: list[Wait], talk: Row | None) -> str:
    if any(w.state == "waiting" for w in waits):
        return "company"
    if not messages:
        return "nobody"
    asked = [m.sent_at for m in messages if m.actor == "customer"]
    replied = [m.sent_at for m in messages if m.is_reply]
    if waits and waits[-1].state in {"closed", "expired"}:
        unanswered = not replied or max(replied) <= max(asked)
        if unanswered:
            return "nobody"
    if talk is not None and not talk["is_open"]:
        return "nobody"
    ours = [m for m in messages if m.actor != "customer" and not m.is_failed]
    return "customer" if ours else "nobody"


def _talk(
    key: tuple[str, int | None],
    messages: list[Message],
    waits: list[Wait],
    closings: list[datetime],
    row: Row | None,
) -> Row:
    sent = [m for m in messages if not m.is_failed]
    asked = [whole(m.sent_at) for m in messages if m.actor == "customer"]
    ours = [whole(m.sent_at) for m in sent if m.actor != "customer"]
    bots = [
        whole(m.sent_at)
        for m in sent
        if m.actor == "bot" and asked and whole(m.sent_at) >= min(asked)
    ]
    answers = sorted(
        (m for m in messages if m.is_reply and m.author_user_id is not None),
        key=lambda m: (whole(m.sent_at), m.sent_at, m.message_id),
    )
    hands = [m.author_user_id for m in answers]
    last = max((whole(m.sent_at) for m in sent), default=_EPOCH)
    first = next((w for w in waits if w.is_first_of_talk), None)
    if row is not None:
        is_open = bool(row["is_in_work"])
    else:
        is_open = not closings or last > max(closings)
    return {
        "conversation_id": key[0],
        "talk_id": key[1],
        "begun_by": _begun_by(asked, ours),
        **volumes(messages),
        **states(waits, "waits_within_target"),
        "waits": len(waits),
        "first_wait_started_at": first.started_at if first else None,
        "first_wait_state": first.state if first else None,
        "first_response_at": first.replied_at if first else None,
        "first_response_seconds": first.wait_seconds if first else None,
        "first_response_business_seconds": first.wait_business_seconds
        if first
        else None,
        "first_response_by_user_id": first.replied_by_user_id if first else None,
        "is_first_response_within_target": first.is_within_target if first else None,
        "first_bot_response_seconds": int((min(bots) - min(asked)).total_seconds())
        if bots
        else None,
        "agents": len(set(hands)),
        "hand_offs": sum(a != b for a, b in itertools.pairwise(hands)),
        "is_open": is_open,
        "closed_at": max(closings, default=None),
        "resolution_seconds": _resolution(messages, closings, row)
        if not is_open
        else None,
        "is_reopened": bool(closings) and (is_open or last > min(closings)),
        "outcome": _outcome(asked, messages, waits),
    }


def _resolution(
    messages: list[Message], closings: list[datetime], row: Row | None
) -> int | None:
    began = [whole(m.sent_at) for m in messages]
    if row is not None:
        began.append(_EPOCH + timedelta(seconds=row["created_at"]))
    if not began or not closings:
        return None
    return int((max(closings) - min(began)).total_seconds())


def _outcome(asked: list[datetime], messages: list[Message], waits: list[Wait]) -> str:
    states = {w.state for w in waits}
    if not asked:
        return "no_customer"
    if "answered" in states:
        return "answered"
    if "waiting" in states:
        return "waiting"
    if any(m.is_reply for m in messages):
        return "replied"
    return "bot_only" if any(m.actor == "bot" for m in messages) else "unanswered"


def _begun_by(asked: list[datetime], ours: list[datetime]) -> str | None:
    if not asked and not ours:
        return None
    if asked and (not ours or min(asked) <= min(ours)):
        return "customer"
    return "company"


def volumes(messages: Iterable[Message]) -> Row:
    said = list(messages)
    return {
        **{f"{kind}_messages": sum(m.actor == kind for m in said) for kind in _KINDS},
        "failed_messages": sum(m.is_failed for m in said),
    }


def states(waits: list[Wait], *left_out: str) -> Row:
    found = {
        "waits_answered": sum(w.state == "answered" for w in waits),
        "waits_closed": sum(w.state == "closed" for w in waits),
        "waits_expired": sum(w.state == "expired" for w in waits),
        "waits_open": sum(w.state == "waiting" for w in waits),
        "waits_within_target": sum(w.is_within_target is True for w in waits),
    }
    return {name: value for name, value in found.items() if name not in left_out}


def grouped(
    items: Iterable[Any], key: Callable[[Any], tuple[Any, ...]]
) -> dict[tuple[Any, ...], list[Any]]:
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
