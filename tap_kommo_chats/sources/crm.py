"""Conversations found through the CRM's chat events, and which of them changed.

An event tells that a message was sent, or a talk begun or closed, and mostly names the
talk. A talk names its conversation. So one page of events and one of talks stand for
hundreds of conversations that would have to be asked one by one.

What Kommo does not promise, and what is done about it:

- The edges of a window of time are not documented, and an event may show up late. So
  windows overlap, and the end is pinned to the start of the run.
- The list of talks may end early. It is only the beginning of the first run.
- An event may name no talk, or one that is gone. Then all talks of its contact, or of
  its lead, are taken to have changed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import RunError, UnansweredError
from tap_kommo_chats.kommo.crm_answers import NOT_ALLOWED
from tap_kommo_chats.origins import NAMED_AT_MOST, named
from tap_kommo_chats.records.conversations import CRM, TALK, Conversation
from tap_kommo_chats.sources.events import MESSAGE_TYPES, ChatEvents
from tap_kommo_chats.sources.first_search import FirstSearch
from tap_kommo_chats.sources.talk_lookup import TalkLookup, read_talks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_kommo_chats.origins import Origins
    from tap_kommo_chats.records.talks import Talk
    from tap_kommo_chats.sources.events import Event
    from tap_kommo_chats.sources.numbers import WayBack
    from tap_kommo_chats.state.seen_talks import SeenTalks

logger = logging.getLogger("tap-kommo-chats")

OWN_ORIGIN = "amo.ext."
"""How the origin of any integration's channel begins (documented by Kommo)."""


class CrmSource:
    """The conversations with chat events in a window of time.

    Attributes:
        problems: Why what was found is not all that there may be, a clause each.
        has_matched: Whether anything of the channels was seen.
    """

    def __init__(
        self,
        seen: SeenTalks,
        origins: Origins,
        events: ChatEvents,
        is_read: Callable[[Conversation], bool],
        way_back: WayBack | None = None,
    ) -> None:
        """Say what to look for; nothing is asked before it is iterated.

        Args:
            seen: Keeps the talks that were seen, so that none is asked for twice.
            origins: The channels that are looked at.
            events: Those of the time to look at.
            is_read: Tells what needs no reading because it turns up.
            way_back: Which talks to ask for by their numbers; None for none.
        """
        self.problems: list[str] = []
        self.has_matched = False
        self._seen = seen
        self._origins = origins
        self._is_read = is_read
        self._events = events
        self._way_back = way_back
        self._lookup = TalkLookup(events.crm, seen, events.together)
        self._first = FirstSearch(events.window.from_ms)
        self._others: list[tuple[str, str]] = []
        self._lost = 0

    def __iter__(self) -> Iterator[Conversation]:
        """Yield conversations as they are found, one again when it is found again.

        Raises:
            RunError: If the CRM cannot be asked.
        """
        if self._events.window.is_first:
            yield from self._listed()
        for events in self._events:
            yield from self._of_events(events)
        if self._way_back is not None:
            yield from self._numbered(self._way_back)
        self._judge()
        self._tell()

    def other_origins(self) -> str:
        """Name the channels that were left out, with how many talks of each were seen.

        Returns:
            Nothing when none was.
        """
        return named(self._seen.others(NAMED_AT_MOST + 1))

    def _listed(self) -> Iterator[Conversation]:
        for page in self._events.crm.talks():
            talks = read_talks(page.rows)
            new = [t for t in talks if not self._seen.was_asked_for(t.talk_id)]
            self._first.saw_talks(new, page.ending)
            self._seen.keep(new)
            for talk in new:
                # Nothing else tells yet when something happened in it. It is too late
                # a time, when the talk was closed or read since.
                yield from self._of_talk(talk, talk.updated_ms)
            self._note_others()

    def _numbered(self, way_back: WayBack) -> Iterator[Conversation]:
        try:
            for talks in way_back.talks(self._lookup, self._seen):
                for talk in talks:
                    for conversation in self._of_talk(talk, talk.updated_ms):
                        way_back.note(conversation)
                        yield conversation
                self._note_others()
        except UnansweredError:
            raise
        except RunError as error:
            # Many in a row may be hidden, which says nothing of the others.
            way_back.problems.append(
                f"talk_ids were not gone through beyond {way_back.following}: {error}"
            )

    def _of_events(self, events: list[Event]) -> Iterator[Conversation]:
        for event in events:
            self._first.saw_event(event.at_ms)
        events = [event for event in events if self._may_be_ours(event)]
        self._lookup.find(e.talk_id for e in events if e.talk_id is not None)
        talks = [self._talk_of(event) for event in events]
        self._lookup.find_of(
            event.owner
            for event, talk in zip(events, talks, strict=True)
            if talk is None and event.is_activity and event.owner is not None
        )
        sightings: list[tuple[int, int, int]] = []
        for event, talk in zip(events, talks, strict=True):
            for each in self._talks_of(event) if talk is None else [talk]:
                active_ms = event.at_ms if event.is_activity else 0
                sightings.append((each.talk_id, event.at_ms, active_ms))
                # All talks of a contact may be meant, or only one of them.
                has_messages = event.is_message and talk is not None
                yield from self._of_event(event, each, has_messages=has_messages)
        self._seen.note_sightings(sightings)
        self._note_others()

    def _may_be_ours(self, event: Event) -> bool:
        """Tell whether an event is worth asking for its talk."""
        origin = event.origin
        if origin is None:
            return True
        is_ours = self._origins.has(origin)
        self.has_matched |= is_ours
        # An integration's own channel is told by its talk, because events are not
        # documented to name it in the same way.
        if is_ours or origin.startswith(OWN_ORIGIN):
            return True
        self._others.append((origin, str(event.talk_id or event.owner)))
        return False

    def _talk_of(self, event: Event) -> Talk | None:
        """Return the talk that an event names; None when it leads nowhere."""
        talk = None if event.talk_id is None else self._seen.get(event.talk_id)
        has_chat = talk is not None and talk.chat_id is not None
        return talk if has_chat or not event.is_activity else None

    def _talks_of(self, event: Event) -> list[Talk]:
        """Return those that take the place of a talk that leads nowhere."""
        if not event.is_activity:
            return []
        talks = [] if event.owner is None else self._seen.of_owner(event.owner)
        if not talks:
            self._lose(event)
        return talks

    def _lose(self, event: Event) -> None:
        """Note that an event leads nowhere, which it may do when it is met again."""
        self._lost += 1
        self._events.memory.doubt(event.at_ms)

    def _of_event(
        self, event: Event, talk: Talk, *, has_messages: bool
    ) -> Iterator[Conversation]:
        if event.is_activity:
            if talk.chat_id is None:
                self._events.memory.doubt(event.at_ms)
            yield from self._of_talk(talk, event.at_ms, has_messages=has_messages)
        elif talk.chat_id is not None:
            # Nothing new is in it, but it may show up for the first time.
            for found in self._of_talk(talk, None):
                if not self._is_read(found):
                    yield found

    def _of_talk(
        self, talk: Talk, at_ms: int | None, *, has_messages: bool = False
    ) -> Iterator[Conversation]:
        if not self._origins.has(talk.origin):
            self._others.append((talk.origin, str(talk.talk_id)))
            return
        self.has_matched = True
        if talk.chat_id is None:
            self._lost += 1
        elif self._origins.is_own(talk.origin):
            yield Conversation(talk.chat_id, CRM, at_ms, has_messages)
        else:
            # Nobody knows whether talks give the messages of an integration's channel.
            is_certain = has_messages and not talk.origin.startswith(OWN_ORIGIN)
            yield Conversation(str(talk.talk_id), TALK, at_ms, is_certain)

    def _note_others(self) -> None:
        """Note in one go what a page had of other channels."""
        self._seen.note_others(self._others)
        self._others.clear()

    def _judge(self) -> None:
        """Say what keeps the search from being complete."""
        if self._events.is_endless:
            self.problems.append(
                "the CRM's pages of events go round without an end, so events may be "
                "missing: tell Kommo's support. The next run searches again from where "
                "this one began"
            )
        refused = ", ".join(self._events.refused)
        if {*MESSAGE_TYPES} & {*self._events.refused}:
            self.problems.append(
                f"the CRM takes no events of type {refused}, so messages may be "
                "missing: tell Kommo's support. The next run searches again from where "
                "this one began"
            )
        elif refused:
            logger.warning(
                "The CRM takes no events of type %s; the search went on without them",
                refused,
            )

    def _tell(self) -> None:
        """Say what was left out, which is no reason to search again."""
        if others := self.other_origins():
            logger.info(
                "Left out what is not of crm_origins, because the Chats API gives "
                "an integration the messages of its own channel only: %s",
                others,
            )
        if self._lost:
            logger.warning(
                "%d chat event(s) lead to no conversation: the CRM has neither their "
                "talk nor another one of the same contact",
                self._lost,
            )
        if self._lookup.hidden:
            names = self._lookup.hidden_names
            more = ", ..." if self._lookup.hidden > len(names) else ""
            logger.warning(
                "%d talk(s) were left out (%s%s): %s",
                self._lookup.hidden,
                ", ".join(names),
                more,
                NOT_ALLOWED,
            )
        if self._events.window.is_first:
            self._tell_gaps()

    def _tell_gaps(self) -> None:
        list_gap = self._first.list_gap(self._seen.count())
        events_gap = None if self._events.is_endless else self._first.events_gap()
        if gaps := [gap for gap in (list_gap, events_gap) if gap is not None]:
            logger.log(
                logging.INFO if list_gap is None else logging.WARNING,
                "The CRM may not have shown all to this first search: %s. What neither "
                "names is read when something happens in it, when another list of "
                "conversations has it, or when talk_ids names it",
                "; ".join(gaps),
            )
