"""Lists that may have talks in them, such as those that another run's search found.

Those of one's own channel name a conversation, those of native channels are read
themselves, and all others are passed over, as a search does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from tap_kommo_chats.origins import NAMED_AT_MOST, named
from tap_kommo_chats.records.conversations import TALK, Conversation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.origins import Origins
    from tap_kommo_chats.sources.listing import Report
    from tap_kommo_chats.state.seen_talks import SeenTalks

_KEPT_AT_ONCE = 500


class HandedOver:
    """What lists name, as a search of the CRM would name it."""

    def __init__(
        self,
        listed: Iterable[Conversation],
        origins: Origins,
        seen: SeenTalks | None,
        account_id: int | None,
        report: Report,
    ) -> None:
        """Keep what to go through.

        Args:
            listed: All that they have.
            origins: The channels that are looked at.
            seen: Keeps the talks of native channels; None beside a search, which asks
                for all that a talk has.
            account_id: Kommo's number of the account, so that talks of another one,
                which have numbers of their own, are passed over; None to take all.
            report: Is told of each entry that leads nowhere.
        """
        self._listed = listed
        self._origins = origins
        self._seen = seen
        self._account_id = account_id
        self._report = report
        self._has_matched = False
        self._others: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Conversation]:
        """Yield conversations, and talks as such.

        Raises:
            RunError: If a list cannot be used, or breaks off.
        """
        listed = iter(self._listed)
        while some := list(islice(listed, _KEPT_AT_ONCE)):
            found = [each for each in some if self._is_looked_at(each)]
            natives = [each for each in found if self._is_native(each)]
            if self._seen is not None:
                self._seen.keep(each.talk for each in natives if each.talk is not None)
            for each in found:
                self._has_matched = True
                yield _as_talk(each) if self._is_native(each) else each
        if self._seen is not None and self._others and not self._has_matched:
            self._report(
                "The lists have no talk of crm_origins or native_channels, so there is "
                "nothing to read: set these to the origins of your channels. There are "
                f"{named(self._others.most_common(NAMED_AT_MOST + 1))}"
            )

    def _is_native(self, found: Conversation) -> bool:
        return found.talk is not None and self._origins.is_native(found.talk.origin)

    def _is_looked_at(self, found: Conversation) -> bool:
        if self._account_id is not None and found.account_id not in {
            None,
            self._account_id,
        }:
            return False
        if found.talk is not None:
            is_ours = self._origins.has(found.talk.origin)
            if not is_ours:
                self._others[found.talk.origin] += 1
            return is_ours
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
