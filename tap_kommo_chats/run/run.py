"""One run: what it finds, reads, books and tells, without anything of Singer.

The tap makes it and gives it to the streams, which make records of what it yields.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias

from tap_kommo_chats.errors import (
    IncompleteRunError,
    StopRequestedError,
)
from tap_kommo_chats.kommo.chats import ChatsApi
from tap_kommo_chats.records.conversations import CRM
from tap_kommo_chats.records.runs import RunSummary
from tap_kommo_chats.run.agenda import Agenda, set_aside
from tap_kommo_chats.run.books import Books
from tap_kommo_chats.run.directory import Whose, open_directory
from tap_kommo_chats.run.find import Finder, Watch
from tap_kommo_chats.run.hosts import PACKAGE, host_at
from tap_kommo_chats.run.mirror import open_mirror
from tap_kommo_chats.run.plan import Plan
from tap_kommo_chats.run.progress import Progress, Snapshot
from tap_kommo_chats.run.reader import Reader, Reads
from tap_kommo_chats.run.talk_messages import open_talks
from tap_kommo_chats.run.tally import bad_entries
from tap_kommo_chats.run.witnesses import Witnesses
from tap_kommo_chats.state.layout import (
    CONVERSATIONS_STREAM,
    MESSAGES,
    SEARCHED,
)
from tap_kommo_chats.state.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_kommo_chats.kommo.pagination import HistoryPage
    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.records.messages import Record, Row
    from tap_kommo_chats.records.talks import Talk
    from tap_kommo_chats.run.frame import Frame
    from tap_kommo_chats.run.plan import ReadJob
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.tap_state import TapState

logger = logging.getLogger("tap-kommo-chats.chat_history")

MakeRecord: TypeAlias = "Callable[[str, Row], Record]"
"""Makes a record, as it is written, of a conversation's id and a row of it."""


class Run:
    """Owns what the run knows: ledger, bookmarks, plan, books, stop and progress."""

    def __init__(self, frame: Frame, state: TapState) -> None:
        """Make ready; nothing is asked yet.

        Args:
            frame: What holds for all of it.
            state: What it goes on from, and what the next one will.
        """
        settings, started_ms = frame.settings, frame.started_ms
        self.settings = settings
        self.started_ms = started_ms
        self._bookmarks = state.bookmarks
        self._frame = frame
        self._progress: Progress | None = None
        self._thread = threading.get_ident()
        self._ledger = Ledger()
        self._witnesses = Witnesses(
            state.bookmarks, self._ledger, may_be_unlisted=settings.searches
        )
        self._books = Books(self._ledger, state.bookmarks, self._witnesses, started_ms)
        # A search that finds nothing may take long, and who waits wants to know.
        self._crm_host = (
            None
            if settings.crm is None
            else host_at(settings.crm.url, "crm_url", settings, self._tick)
        )
        directory = open_directory(self._crm_host, settings.crm)
        self.whose = Whose(settings, directory)
        self._chats_host = host_at(settings.api_url, "api_url", settings)
        secret = settings.channel_secret or ""
        self._chats = ChatsApi(self._chats_host, lambda: self.whose.name, secret)
        watch = Watch(frame.stop.interruptible, self._tick, frame.is_glance)
        self._finder = Finder(settings, self._ledger, directory, state, watch)
        self._mirror = open_mirror(directory, self._finder, state.written, frame)
        self._talks = open_talks(directory, self._finder, state, frame)
        if note := state.take_shard(settings.shard):
            logger.warning(note)
        if settings.crm and state.bookmarks.search_mark.has_others(
            settings.crm.origins.names
        ):
            state.bookmarks.forget_crm()

    def messages(
        self, make_record: MakeRecord, *, from_beginning: bool
    ) -> Iterator[Record]:
        """Read every conversation in which something may have happened.

        Args:
            make_record: Makes a record of a row.
            from_beginning: Whether all is read as if nothing ever was.

        Raises:
            RunError: If no conversation can be read.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        if not self.settings.has_channel:
            return
        set_aside(self.settings, self._bookmarks)
        self._progress = progress = Progress(logger, self._snapshot)
        if self._bookmarks.is_empty:
            logger.info(
                "There is no state: every conversation is read from its beginning"
            )
        plan = _plan(self._frame, from_beginning=from_beginning)
        agenda = Agenda(plan, self._bookmarks, self._books, self._witnesses)
        jobs = agenda.jobs(self._find(from_beginning=from_beginning), self._tick)
        reader = Reader(self._books, self._bookmarks, self._frame, progress.tick)
        how = Reads(
            self._pages,
            lambda job, row: make_record(job.conversation_id, row),
            came=self._finder.came,
            release=self._chats.release,
            stop=self._chats_host.stop,
        )
        try:
            yield from reader.read(jobs, how)
            self._complete()
        finally:
            self._chats.sum_up()
            tally = self._books.tally
            progress.end(str(tally).capitalize(), tally.numbers())
            self._progress = None

    def conversations(self) -> Iterator[tuple[Entry, str | None]]:
        """Tell what the run knows of each conversation, and in which scope it is.

        A chat of a native channel is in none.

        Raises:
            RunError: If a source of conversations cannot be used.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        self._find_all()
        since_ms = self._finder.since_ms.get(CONVERSATIONS_STREAM)
        for entry in self._ledger.entries(only_told=True):
            self._stop_if_asked()
            if _tells_something(entry, since_ms):
                told = _with_what_was_read(entry, self._bookmarks)
                yield told, self.whose.scope_id
        for chat in () if self._talks is None else self._talks.chats():
            self._stop_if_asked()
            if _tells_something(chat, since_ms):
                yield chat, None
        self._finder.move_mark(CONVERSATIONS_STREAM, self.started_ms)

    def talks(self) -> Iterator[tuple[Talk, int]]:
        """Tell of each talk that the run saw in the CRM; see `Mirror.talks`."""
        self._find_all()
        return iter(()) if self._mirror is None else self._mirror.talks()

    def mirrored(
        self, stream: str, masked: Callable[[Record], Record]
    ) -> Iterator[Record]:
        """Tell what a stream that mirrors the CRM has to write; see `Mirror.rows`."""
        if stream in SEARCHED:
            self._find_all()
        return iter(()) if self._mirror is None else self._mirror.rows(stream, masked)

    def talk_messages(self, masked: Callable[[Record], Record]) -> Iterator[Record]:
        """Read the talks of native channels; see `TalkReader.messages`."""
        self._find_all()
        return iter(()) if self._talks is None else self._talks.messages(masked)

    def close(self) -> None:
        """End the run, once all else was written; see `check_delivery`."""
        self._search_for_others()
        self._frame.output.end_with_state()
        self.check_delivery()

    def check_delivery(self) -> None:
        """Say at the end of the run whether all was delivered.

        Raises:
            IncompleteRunError: If something was not.
        """
        for host in filter(None, (self._chats_host, self._crm_host)):
            host.retries.sum_up()
        if problems := self._problems():
            msg = f"Not everything was delivered: {'; '.join(problems)}"
            raise IncompleteRunError(msg)

    def summary(self) -> RunSummary:
        """Sum the run up, once all else was written."""
        self._search_for_others()
        tally, crm = self._books.tally, self._crm_host
        return RunSummary(
            scope_id=self.whose.name,
            shard=str(self.settings.shard),
            version=version(PACKAGE),
            started_ms=self.started_ms,
            ended_ms=time.time_ns() // 1_000_000,
            is_complete=not self._problems(),
            counts={
                **tally.numbers(),
                "messages": tally.messages,
                "talk_messages": None if self._talks is None else self._talks.written,
                "requests": self._chats_host.requests_made,
                "crm_requests": None if crm is None else crm.requests_made,
            },
            searched_until_ms=self.started_ms if self.settings.searches else None,
        )

    @property
    def account_id(self) -> int | None:
        """Kommo's number of the account, from the CRM or a list; None without both."""
        listed = self._ledger.account_id
        # A run that does not search need not ask for it.
        asked = None if listed and not self.settings.searches else self.whose.account_id
        return asked or listed

    @property
    def requests_made(self) -> int:
        """How many requests the Chats API was sent, each attempt counted."""
        return self._chats_host.requests_made

    def _problems(self) -> list[str]:
        return [
            *self._books.tally.problems(),
            *bad_entries(self._finder.bad_entries),
            *self._finder.problems,
            *self._finder.unkept,
            *(self._finder.way_back.problems if self._finder.way_back else ()),
            *(() if self._mirror is None else self._mirror.problems),
            *(() if self._talks is None else self._talks.problems),
        ]

    def _find(self, *, from_beginning: bool) -> Iterator[Entry]:
        return self._finder.find(
            self._bookmarks, self.started_ms, from_beginning=from_beginning
        )

    def _find_all(self) -> None:
        """Go through the sources, if the messages are not selected and so did not."""
        if self._finder.has_begun:
            return
        self._progress = progress = Progress(logger, self._snapshot)
        try:
            for _ in self._find(from_beginning=False):
                progress.tick()
        except StopRequestedError:
            self._stop_if_asked()
        finally:
            progress.close()
            self._progress = None

    def _search_for_others(self) -> None:
        """Search for other runs, where no selected stream lives off a search."""
        crm = self.settings.crm
        if crm and crm.found_talks_file and not self._frame.is_glance:
            self._find_all()

    def _pages(self, job: ReadJob) -> Iterable[HistoryPage]:
        return self._chats.history(
            job.conversation_id, job.since_ms, expects_messages=job.expects_messages
        )

    def _complete(self) -> None:
        self._books.close()
        self._finder.move_mark(MESSAGES, self.started_ms)
        # Else something may have happened that nobody was told of.
        if self.settings.searches and not self._finder.problems:
            for entry in self._ledger.entries():
                if CRM in entry.sources:
                    self._bookmarks.note_in_crm(entry.conversation_id)

    def _stop_if_asked(self) -> None:
        self._frame.stop.check(self._frame.output)

    def _tick(self) -> None:
        # Several threads search the CRM, and one shows how far the run is.
        if self._progress is not None and threading.get_ident() == self._thread:
            self._progress.tick()

    def _snapshot(self, seconds: float) -> Snapshot:
        return Snapshot(
            seconds=seconds,
            done=self._books.tally.done,
            known=self._ledger.size,
            all_known=not self.settings.searches or self._finder.has_ended,
            messages=self._books.tally.messages,
            requests=self._chats_host.requests_made,
            crm_requests=None
            if self._crm_host is None
            else self._crm_host.requests_made,
        )


def _plan(frame: Frame, *, from_beginning: bool) -> Plan:
    settings = frame.settings
    return Plan(
        started_ms=frame.started_ms,
        start_ms=settings.start_ms,
        lookback_ms=settings.lookback_ms,
        has_crm=settings.searches,
        from_beginning=from_beginning,
    )


def _with_what_was_read(entry: Entry, bookmarks: Bookmarks) -> Entry:
    """Add what earlier runs read of a conversation, where this one reads none."""
    if entry.outcome is not None:
        return entry
    known = bookmarks.known(entry.conversation_id)
    return replace(entry, newest_ms=(known.newest_ms or None) if known else None)


def _tells_something(entry: Entry, since_ms: int | None) -> bool:
    """Tell whether a row of `conversations` would say what none did before.

    Args:
        entry: What the run knows of a conversation.
        since_ms: Where what this stream has not written begins, in milliseconds since
            1970; None where that is all that was searched.
    """
    return (
        since_ms is None
        or entry.sources != (CRM,)
        or entry.last_activity_ms is None
        or entry.last_activity_ms >= since_ms
    )
