"""All sources together: which conversations there are, and what is known of each."""

from __future__ import annotations

import logging
import re
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from tap_kommo_chats.records.conversations import CONFIG, STATE, TALK, Conversation
from tap_kommo_chats.run.glance import glanced_at
from tap_kommo_chats.run.search import Search, plan_search, plan_way_back, remembered
from tap_kommo_chats.run.threads import Failure, Idle, J, P, Part, read_all
from tap_kommo_chats.sources.account import check_account
from tap_kommo_chats.sources.crm import CrmSource
from tap_kommo_chats.sources.events import ChatEvents
from tap_kommo_chats.sources.file import FileSource
from tap_kommo_chats.sources.sql import SQLSource
from tap_kommo_chats.state.event_memory import EventMemory
from tap_kommo_chats.state.known import margin_ms
from tap_kommo_chats.state.layout import CHAT_EVENTS, MESSAGES, TALK_MESSAGES
from tap_kommo_chats.state.ledger import Ledger
from tap_kommo_chats.state.seen_events import SeenEvents
from tap_kommo_chats.state.seen_talks import SeenTalks
from tap_kommo_chats.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.run.directory import Directory
    from tap_kommo_chats.settings.values import CrmSettings, Settings
    from tap_kommo_chats.sources import Source
    from tap_kommo_chats.sources.events import Event
    from tap_kommo_chats.sources.listing import Report
    from tap_kommo_chats.sources.numbers import WayBack
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.tap_state import TapState

logger = logging.getLogger("tap-kommo-chats")


class Watch(NamedTuple):
    """How a run goes on while conversations are found.

    Attributes:
        interruptible: What a signal may break into.
        tick: Shows how far the run is. Called in its own thread only.
        is_glance: Whether one record of each stream is all that is asked for.
    """

    interruptible: Callable[[], AbstractContextManager[None]]
    tick: Callable[[], None]
    is_glance: bool


_LISTED_AT_ONCE = 500
"""So many of a list may be asked for before a signal is looked at."""


class Finder:
    """Goes through the sources of conversations, once in a run.

    Attributes:
        bad_entries: How many entries of the lists are not as they should be.
        problems: Why the search of the CRM is not complete, a clause each. What it
            found is read, and the next run searches again from where it began.
        seen_talks: The talks that the CRM showed.
        seen_events: The events of a search for a stream of them.
        native: What is known of the talks of native channels, by their numbers.
        memory: Which of its events were acted on.
        has_begun: Whether the sources are being gone through, or were.
        has_ended: Whether they were, so that no more conversations can turn up.
        way_back: Which talks are asked for by their numbers; None for none.
        since_ms: For each stream that lags less than another one in what the CRM was
            searched for, where what it has not written begins, in milliseconds since
            1970.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        directory: Directory | None,
        state: TapState,
        watch: Watch,
    ) -> None:
        """Keep where to look; nothing is asked yet.

        Args:
            settings: Say which sources there are.
            ledger: Learns what they know.
            directory: The account's CRM, and which it is; None when there is none.
            state: Has the search mark of each selected stream.
            watch: How the run goes on meanwhile.
        """
        self.bad_entries = 0
        self.problems: list[str] = []
        self.seen_talks = SeenTalks()
        self.seen_events = SeenEvents()
        self.native = Ledger()
        self.memory: EventMemory[Event] = EventMemory({}, None)
        self.has_begun = False
        self.has_ended = False
        self.way_back: WayBack | None = None
        self.since_ms: Mapping[str, int] = {}
        self._settings = settings
        self._ledger = ledger
        self._directory = directory
        # What one that is refused missed is not looked for in vain by each run.
        self._marks = {
            name: mark for name, mark in state.marks.items() if not mark.is_refused
        } or state.marks
        self._all_marks = state.marks
        self._talks = state.talks
        self._watch = watch
        self._teller = Teller(logger)

    def find(
        self, bookmarks: Bookmarks, started_ms: int, *, from_beginning: bool
    ) -> Iterator[Entry]:
        """Go through all sources; see the function of that name.

        Args:
            bookmarks: Say what earlier runs read, and could not read.
            started_ms: When the run began, in milliseconds since 1970.
            from_beginning: Whether the CRM is searched as if it never was.
        """
        self.has_begun = True
        settings, crm = self._settings, self._settings.crm
        searched = None
        directory = self._directory
        if crm is not None and directory is not None:
            api = directory.crm
            search = self._plan(crm, started_ms, from_beginning=from_beginning)
            is_read = self._is_read(bookmarks, from_beginning=from_beginning)
            self.way_back = plan_way_back(crm, self._marks, is_read)
            # What is found by its number may be of any time.
            self.since_ms = search.since_ms if self.way_back is None else {}
            self.memory = remembered(search, crm, self._marks)
            events = ChatEvents(
                api, search.window, self.memory, self._together, self._keep_events
            )
            source = CrmSource(
                self.seen_talks,
                crm.origins,
                events,
                is_read,
                self.way_back,
            )
            searched = self._searched(directory, source, events, search, bookmarks)
        try:
            yield from find(
                self._is_wanted,
                self._ledger,
                lists(settings, bookmarks.pending(started_ms), self._report),
                searched,
                interruptible=self._watch.interruptible,
            )
        finally:
            self._teller.sum_up()
        self.has_ended = not self._watch.is_glance

    def searched_from_ms(self, stream: str) -> int | None:
        """Tell from when on what happened may not have been written for a stream.

        Returns:
            Milliseconds since 1970; None when nothing was ever written for it.
        """
        crm, mark = self._settings.crm, self._marks.get(stream)
        until_ms = (
            None if crm is None or mark is None else mark.until_ms(crm.origins.names)
        )
        if until_ms is None:
            return None
        return max(0, until_ms - margin_ms(self._settings.lookback_ms))

    def came(self, conversation_id: str) -> None:
        """Note that a page of a conversation, or of a talk, came."""
        if self.way_back is not None:
            self.way_back.came(conversation_id)

    def refuse(self, stream: str, started_ms: int) -> None:
        """Note that a stream cannot be read, so that it keeps no other from going on.

        It gets what it missed by the second run after it can be read again.
        """
        if stream in self._all_marks:
            self._all_marks[stream].refuse(started_ms)

    def move_mark(self, stream: str, started_ms: int) -> None:
        """Note that a stream has written all that the search of the CRM found."""
        crm, mark = self._settings.crm, self._marks.get(stream)
        if stream in self._all_marks:
            self._all_marks[stream].allow()
        if crm is None or mark is None or not self.has_ended:
            return
        if crm.numbers is not None and self.way_back is not None:
            # What keeps the search from being complete says nothing of these.
            following = self.way_back.following
            mark.move_number(crm.origins.names, crm.numbers.first, following)
        if not self.problems:
            since_ms = started_ms - margin_ms(self._settings.lookback_ms)
            events = self.memory.written(since_ms)
            mark.move(crm.origins.names, started_ms, events)

    def _keep_events(self, events: list[Event], /, *, is_new: bool) -> None:
        if not is_new and TALK_MESSAGES in self._marks:
            self.seen_events.note_messages(
                (event.message_id, event.talk_id)
                for event in events
                if event.message_id is not None and event.talk_id is not None
            )
        if is_new and CHAT_EVENTS in self._marks:
            self.seen_events.keep(
                (event.event_id, event.at_ms, event.talk_id, event.value)
                for event in events
                if event.event_id is not None
            )

    def _together(
        self, jobs: Iterable[J], read: Callable[[J], Iterable[P]]
    ) -> Generator[tuple[J, P | None], None, None]:
        """Ask for several things at once, with threads."""
        with closing(read_all(jobs, read, self._settings.max_concurrency)) as events:
            for event in events:
                # Only this thread shows how far the run is.
                self._watch.tick()
                if isinstance(event, Failure):
                    raise event.error
                if not isinstance(event, Idle):
                    yield event.job, event.content if isinstance(event, Part) else None

    def _is_wanted(self, conversation_id: str) -> bool:
        is_ignored = conversation_id in self._settings.ignored_conversation_ids
        return self._settings.shard.holds(conversation_id) and not is_ignored

    def _report(self, line: str) -> None:
        self.bad_entries += 1
        # Lines that differ in their numbers are of one kind.
        self._teller.tell(re.sub(r"\d+", "...", line), line)

    def _plan(
        self, crm: CrmSettings, started_ms: int, *, from_beginning: bool
    ) -> Search:
        until_ms = {
            stream: mark.until_ms(crm.origins.names)
            for stream, mark in self._marks.items()
        }
        if from_beginning:
            until_ms[MESSAGES] = None
        return plan_search(
            until_ms,
            margin_ms=margin_ms(self._settings.lookback_ms),
            start_ms=self._settings.start_ms,
            started_ms=started_ms,
        )

    def _is_read(
        self, bookmarks: Bookmarks, *, from_beginning: bool
    ) -> Callable[[Conversation], bool]:
        """Say what needs no reading because it turns up."""
        reads_own, talks = MESSAGES in self._marks, self._talks

        def is_read(found: Conversation) -> bool:
            id_ = found.conversation_id
            if found.source == TALK:
                return talks is None or talks.is_covered(id_)
            return not reads_own or (not from_beginning and bookmarks.is_covered(id_))

        return is_read

    def _searched(
        self,
        directory: Directory,
        source: CrmSource,
        events: ChatEvents,
        search: Search,
        bookmarks: Bookmarks,
    ) -> Iterator[Conversation]:
        """Go through the CRM, and judge what was found in it."""
        check_account(directory.account, self._settings)
        found: Iterable[Conversation] = source
        if self._watch.is_glance:
            kinds = self._settings.has_channel + (self._talks is not None)
            found = glanced_at(source, events, kinds, directory.host)
        for conversation in found:
            if conversation.source != TALK:
                yield conversation
            elif self._talks is not None:
                self.native.learn(conversation)
        if self._watch.is_glance and source.has_matched:
            return
        if self.way_back is not None and self._talks is None:
            logger.info("%s", self.way_back)
        self.problems += source.problems
        others = source.other_origins()
        if source.has_matched or not others or not search.window.is_first:
            return
        # Those of the state that no list names may be what an earlier search found.
        if not bookmarks.has_others_than(
            entry.conversation_id
            for entry in self._ledger.entries()
            if entry.sources != (STATE,)
        ):
            self.problems.append(
                "crm_origins match no talk of the account, so no conversation was "
                f"found: set them to those of your channel. There are {others}"
            )


def lists(
    settings: Settings, pending: Iterable[tuple[str, int | None]], report: Report
) -> list[Source]:
    """Make the sources that are lists.

    Args:
        settings: Say which there are.
        pending: Conversations that earlier runs could not read, or that are due for a
            visit. They are a list of their own beside the CRM, which does not name them
            again.
        report: Is told of each entry that is not as it should be.
    """
    found: list[Source] = [
        [Conversation(id_, CONFIG) for id_ in settings.conversation_ids]
    ]
    if settings.conversations_file is not None:
        file = settings.conversations_file
        found.append(FileSource(file, report, settings.request_timeout))
    if settings.sql is not None:
        found.append(SQLSource(settings.sql.url, settings.sql.query, report))
    if settings.crm is not None:
        found.append([Conversation(id_, STATE, at_ms) for id_, at_ms in pending])
    return found


def find(
    is_wanted: Callable[[str], bool],
    ledger: Ledger,
    sources: Iterable[Source],
    crm: Iterable[Conversation] | None,
    *,
    interruptible: Callable[[], AbstractContextManager[None]],
) -> Iterator[Entry]:
    """Go through all sources.

    Lists are gone through at once, so that no file and no cursor stays open for as long
    as reading takes, and what is wrong with one is told before anything is read. The
    CRM is asked as the reading goes on, because its requests take as long.

    Args:
        is_wanted: Tells which conversations to look at.
        ledger: Learns what the sources know.
        sources: The lists.
        crm: Finds those that changed; None when there is none.
        interruptible: What a signal may break into.

    Yields:
        What is known of each conversation; once more whenever more becomes known.

    Raises:
        RunError: If a source cannot be used, or breaks off.
        StopRequestedError: If a signal asks to stop.
    """

    def ours(
        source: Iterable[Conversation], at_once: int
    ) -> Iterator[list[Conversation]]:
        conversations = iter(source)
        while True:
            with interruptible():
                some = list(islice(conversations, at_once))
            if not some:
                return
            yield [each for each in some if is_wanted(each.conversation_id)]

    for source in sources:
        for some in ours(source, _LISTED_AT_ONCE):
            ledger.learn_all(some)
    searched: Iterator[Conversation] = iter(())
    if crm is not None:
        found = chain.from_iterable(ours(crm, 1))
        # What is wrong with the token is told before anything is read.
        first = next(found, None)
        searched = found if first is None else chain([first], found)
    yield from ledger.entries()
    for conversation in searched:
        yield ledger.learn(conversation)
