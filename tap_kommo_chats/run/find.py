"""All sources together: which conversations there are, and what is known of each."""

from __future__ import annotations

import logging
import re
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.records.conversations import STATE, TALK, Conversation
from tap_kommo_chats.run.glance import glanced_at
from tap_kommo_chats.run.lists import Lists, apart, find
from tap_kommo_chats.run.marks import Marks
from tap_kommo_chats.run.search import plan_search, plan_way_back, remembered
from tap_kommo_chats.run.threads import Failure, Idle, J, P, Part, read_all
from tap_kommo_chats.sources.account import check_account
from tap_kommo_chats.sources.crm import CrmSource
from tap_kommo_chats.sources.events import ChatEvents
from tap_kommo_chats.sources.found_talks import SETTING as FOUND
from tap_kommo_chats.sources.found_talks import FoundTalks
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
    from tap_kommo_chats.sources.events import Event
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


class Finder:
    """Goes through the sources of conversations, once in a run.

    Attributes:
        bad_entries: How many entries of the lists are not as they should be.
        problems: Why the search of the CRM is not complete, a clause each. What it
            found is read, and the next run searches again from where it began.
        unkept: Why what was found could not be kept for other runs, a clause each.
        seen_talks: The talks that the CRM showed.
        seen_events: The events of a search for a stream of them.
        native: What is known of the talks of native channels, by their numbers.
        memory: Which of its events were acted on.
        has_begun: Whether the sources are being gone through, or were.
        has_ended: Whether they were, so that no more conversations can turn up.
        way_back: Which talks are asked for by their numbers; None for none.
        marks: The search mark of each selected stream.
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
        self.unkept: list[str] = []
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
        self.marks = Marks(state.marks, settings)
        self._natives = None if state.talks is None else self.native
        self._lists = Lists(settings, directory, self._report, watch.interruptible)
        self._found: FoundTalks | None = None
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
        searched = None
        crm = self._settings.crm
        if crm is not None and crm.is_searched and self._directory is not None:
            searched = self._search(
                crm,
                self._directory,
                bookmarks,
                started_ms,
                from_beginning=from_beginning,
            )
        try:
            yield from find(
                self._is_wanted,
                self._ledger,
                self._lists.all(
                    bookmarks.pending(started_ms), self.seen_talks, self._natives
                ),
                searched,
                interruptible=self._watch.interruptible,
            )
        finally:
            self._teller.sum_up()
        self.has_ended = not self._watch.is_glance
        self._keep_found(started_ms)

    def came(self, conversation_id: str) -> None:
        """Note that a page of a conversation, or of a talk, came."""
        if self.way_back is not None:
            self.way_back.came(conversation_id)

    def move_mark(self, stream: str, started_ms: int) -> None:
        """Note that a stream has written all that the search of the CRM found."""
        self.marks.allow(stream)
        if not self.has_ended:
            return
        if self.way_back is not None:
            # What keeps the search from being complete says nothing of these.
            self.marks.move_number(stream, self.way_back.following)
        if not self.problems:
            since_ms = started_ms - margin_ms(self._settings.lookback_ms)
            self.marks.move(stream, started_ms, self.memory.written(since_ms))

    def _keep_events(self, events: list[Event], /, *, is_new: bool) -> None:
        if not is_new and TALK_MESSAGES in self.marks.counting:
            self.seen_events.note_messages(
                (event.message_id, event.talk_id)
                for event in events
                if event.message_id is not None and event.talk_id is not None
            )
        if is_new and CHAT_EVENTS in self.marks.counting:
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

    def _keep_found(self, started_ms: int) -> None:
        """Keep the talks that were found where other runs look for them."""
        if self._found is None or not self.has_ended:
            return
        self.move_mark(FOUND, started_ms)
        try:
            with self._watch.interruptible():
                self._found.keep(self.seen_talks)
        except RunError as error:
            # What was found is read all the same, and found once more for the file.
            self.unkept.append(str(error))

    def _is_read(
        self, bookmarks: Bookmarks, *, from_beginning: bool
    ) -> Callable[[Conversation], bool]:
        """Say what needs no reading because it turns up."""
        reads_own, talks = MESSAGES in self.marks.counting, self._talks

        def is_read(found: Conversation) -> bool:
            id_ = found.conversation_id
            if found.source == TALK:
                return talks is None or talks.is_covered(id_)
            return not reads_own or (not from_beginning and bookmarks.is_covered(id_))

        return is_read

    def _search(
        self,
        crm: CrmSettings,
        directory: Directory,
        bookmarks: Bookmarks,
        started_ms: int,
        *,
        from_beginning: bool,
    ) -> Iterator[Conversation]:
        """Go through the CRM, from where each stream was."""
        if crm.found_talks_file is not None and not self._watch.is_glance:
            timeout, number = self._settings.request_timeout, directory.account.number
            self._found = FoundTalks(crm.found_talks_file, timeout, number)
            self.marks.counting[FOUND] = self._found.mark
        marks = self.marks.counting
        until_ms = {
            stream: mark.until_ms(crm.origins.names) for stream, mark in marks.items()
        }
        if from_beginning:
            until_ms[MESSAGES] = None
        search = plan_search(
            until_ms,
            margin_ms=margin_ms(self._settings.lookback_ms),
            start_ms=self._settings.start_ms,
            started_ms=started_ms,
        )
        is_read = self._is_read(bookmarks, from_beginning=from_beginning)
        self.way_back = plan_way_back(crm, marks, is_read)
        # What is found by its number may be of any time.
        self.since_ms = search.since_ms if self.way_back is None else {}
        self.memory = remembered(search, crm, marks)
        events = ChatEvents(
            directory.crm,
            search.window,
            self.memory,
            self._together,
            self._keep_events,
        )
        source = CrmSource(self.seen_talks, crm.origins, events, is_read, self.way_back)
        yield from self._searched(directory, source, events, bookmarks)

    def _searched(
        self,
        directory: Directory,
        source: CrmSource,
        events: ChatEvents,
        bookmarks: Bookmarks,
    ) -> Iterator[Conversation]:
        """Go through the CRM, and judge what was found in it."""
        check_account(directory.account, self._settings)
        found: Iterable[Conversation] = source
        if self._watch.is_glance:
            kinds = self._settings.has_channel + (self._talks is not None)
            found = glanced_at(source, events, kinds, directory.host)
        yield from apart(found, self._natives)
        if self._watch.is_glance and source.has_matched:
            return
        if self.way_back is not None and self._talks is None:
            logger.info("%s", self.way_back)
        self.problems += source.problems
        others = source.other_origins()
        if source.has_matched or not others or not events.window.is_first:
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
