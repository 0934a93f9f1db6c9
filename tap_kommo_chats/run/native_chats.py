"""What became of the chats of native channels, whose talks were read one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tap_kommo_chats.records.conversations import CRM, TALK, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.state.ledger import Ledger
    from tap_kommo_chats.state.seen_talks import SeenTalks

_WORST_FIRST = (
    *(Outcome.FAILED, Outcome.GIVEN_UP, Outcome.ASKED, None, Outcome.READ),
    *(Outcome.EMPTY, Outcome.GONE, Outcome.UNCHANGED),
)
"""A chat has fared as its talk did that fared worst."""


def chats_of(
    talks: Iterable[Entry],
    ledger: Ledger,
    seen: SeenTalks,
    chat_of: Callable[[int], str | None],
    holds: Callable[[str], bool],
) -> Iterator[Entry]:
    """Make of what is known of talks what is known of their chats.

    Args:
        talks: Those of which there is something to tell.
        ledger: What is known of every talk.
        seen: Says which talks are of one chat.
        chat_of: Tells the chat of a talk; None where nothing told it.
        holds: Tells whether a talk is of this shard. Another one's talks are told of by
            that one.

    Yields:
        Each chat once, if the CRM showed its talks to this run.
    """
    for entry in talks:
        talk_id = int(entry.conversation_id)
        chat_id = chat_of(talk_id)
        if chat_id is None:
            continue
        others = {str(each.talk_id) for each in seen.of_chat(chat_id)}
        others = set(filter(holds, others - {entry.conversation_id}))
        known = [ledger.entry(each) for each in sorted(others)]
        together = [entry, *(each for each in known if each is not None)]
        told = [each for each in together if each.outcome is not Outcome.UNCHANGED]
        if talk_id == min(int(each.conversation_id) for each in told or together):
            yield _as_one(chat_id, together)


def _as_one(chat_id: str, talks: list[Entry]) -> Entry:
    worst = min(talks, key=lambda entry: _WORST_FIRST.index(entry.outcome))
    sources = dict.fromkeys(name for entry in talks for name in entry.sources)
    return replace(
        worst,
        conversation_id=chat_id,
        sources=tuple(CRM if name == TALK else name for name in sources),
        last_activity_ms=_latest(entry.last_activity_ms for entry in talks),
        newest_ms=_latest(entry.newest_ms for entry in talks),
        read_ms=_latest(entry.read_ms for entry in talks),
    )


def _latest(times: Iterable[int | None]) -> int | None:
    return max((time for time in times if time is not None), default=None)
