"""A list of what the search of another run found, for a run that does not search.

Its entries are talks. Those of one's own channel name a conversation, those of native
channels are read themselves, and all others are passed over, as a search does.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from tap_kommo_chats.records.conversations import TALK, Conversation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.origins import Origins
    from tap_kommo_chats.sources import Source
    from tap_kommo_chats.sources.listing import Report
    from tap_kommo_chats.state.seen_talks import SeenTalks

_KEPT_AT_ONCE = 500


class HandedOver:
    """What a list names, as a search of the CRM would name it."""

    def __init__(
        self,
        listed: Source,
        origins: Origins,
        seen: SeenTalks,
        account_id: int | None,
        report: Report,
    ) -> None:
        """Keep what to go through.

        Args:
            listed: The list.
            origins: The channels that are looked at.
            seen: Keeps the talks of native channels.
            account_id: Kommo's number of the account, so that talks of another one,
                which have numbers of their own, are passed over; None to take all.
            report: Is told of each entry that leads nowhere.
        """
        self._listed = listed
        self._origins = origins
        self._seen = seen
        self._account_id = account_id
        self._report = report

    def __iter__(self) -> Iterator[Conversation]:
        """Yield conversations, and talks as such.

        Raises:
            RunError: If the list cannot be used, or breaks off.
        """
        listed = iter(self._listed)
        while some := list(islice(listed, _KEPT_AT_ONCE)):
            found = [each for each in some if self._is_looked_at(each)]
            natives = [each for each in found if self._is_native(each)]
            self._seen.keep(each.talk for each in natives if each.talk is not None)
            for each in found:
                yield _as_talk(each) if self._is_native(each) else each

    def _is_native(self, found: Conversation) -> bool:
        return found.talk is not None and self._origins.is_native(found.talk.origin)

    def _is_looked_at(self, found: Conversation) -> bool:
        if self._account_id is not None and found.account_id not in {
            None,
            self._account_id,
        }:
            return False
        if found.talk is not None:
            return self._origins.has(found.talk.origin)
        if not self._origins.own:
            self._report(
                "An entry of the list names no talk by talk_id and origin, and there "
                "is no channel of your own to read its conversation from: it was left "
                "out"
            )
        return bool(self._origins.own)


def _as_talk(found: Conversation) -> Conversation:
    return replace(
        found,
        conversation_id=str(found.talk.talk_id) if found.talk else "",
        source=TALK,
    )
