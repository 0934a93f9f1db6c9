"""The streams that mirror what the CRM has: rows that differ from what was written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import CrmRefusedError, ForbiddenError, StopRequestedError
from tap_kommo_chats.records.chat_events import event_record
from tap_kommo_chats.run.leads import LeadReader
from tap_kommo_chats.state.layout import CHAT_EVENTS, LEADS, TALKS
from tap_kommo_chats.state.written import REMEMBERED_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.records.talks import Talk
    from tap_kommo_chats.run.directory import Directory, Found
    from tap_kommo_chats.run.find import Finder
    from tap_kommo_chats.run.frame import Frame
    from tap_kommo_chats.state.written import Written

logger = logging.getLogger("tap-kommo-chats")

_FOR_ADMINISTRATORS = ("users",)
"""Streams that only an administrator's token gives (documented by Kommo)."""


def open_mirror(
    directory: Directory | None,
    finder: Finder,
    written: Mapping[str, Written],
    run: Frame,
) -> Mirror | None:
    """Make a mirror; None where there is no CRM."""
    return None if directory is None else Mirror(directory, finder, written, run)


class Mirror:
    """Yields what is to be written of the streams that mirror the CRM.

    Attributes:
        problems: Why something could not be read, a clause each.
    """

    def __init__(
        self,
        directory: Directory,
        finder: Finder,
        written: Mapping[str, Written],
        run: Frame,
    ) -> None:
        """Make ready; nothing is asked yet.

        Args:
            directory: Reads what an account has few of.
            finder: Has found the talks whose leads are wanted.
            written: What is remembered of the rows of each selected stream.
            run: What else there is to know.
        """
        self.problems: list[str] = []
        self._directory = directory
        self._finder = finder
        self._written = written
        self._run = run
        self._readers: dict[str, Callable[[], Iterator[Found]]] = {
            "accounts": directory.accounts,
            "users": directory.users,
            "pipelines": directory.pipelines,
            LEADS: self._leads,
        }

    def rows(self, stream: str, masked: Callable[[Record], Record]) -> Iterator[Record]:
        """Yield the records that differ from what was written.

        A refusal stops this stream and no other.

        Args:
            stream: The stream's name.
            masked: Takes out of a record what is not to leave.

        Raises:
            RunError: If the CRM cannot be asked for anything.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        if stream == CHAT_EVENTS:
            yield from self._events(masked)
            return
        written, run = self._written[stream], self._run
        written.remember_from(run.started_ms - max(REMEMBERED_MS, run.margin_ms))
        try:
            for row in self._waiting_for(self._readers[stream]()):
                run.stop.check(run.output)
                record = masked(row.record)
                if run.shard.holds(row.key):
                    if written.differs(row.key, record):
                        yield record
                    # By now it has been written.
                    written.note(row.key, record, row.active_ms)
            written.forget()
        except StopRequestedError:
            run.stop.check(run.output)
        except CrmRefusedError as error:
            self._refused(stream, error)

    def talks(self) -> Iterator[tuple[Talk, int]]:
        """Tell of each talk that the run saw, and of which account it is.

        Raises:
            RunError: If the CRM cannot be asked for anything.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        finder, run = self._finder, self._run
        try:
            for talk in finder.seen_talks.all(finder.since_ms.get(TALKS)):
                run.stop.check(run.output)
                if run.shard.holds(talk.chat_id or ""):
                    yield talk, self._directory.number_for(talk.value.get("account_id"))
        except CrmRefusedError as error:
            self._refused(TALKS, error)
        else:
            finder.move_mark(TALKS, run.started_ms)

    def _events(self, masked: Callable[[Record], Record]) -> Iterator[Record]:
        """Yield the events that the search met. None of them ever changes."""
        finder, run = self._finder, self._run
        try:
            for event_id, talk_id, value in finder.seen_events.all(
                finder.since_ms.get(CHAT_EVENTS)
            ):
                run.stop.check(run.output)
                if run.shard.holds(event_id):
                    number = self._directory.number_for(value.get("account_id"))
                    yield masked(event_record(event_id, talk_id, value, number))
        except CrmRefusedError as error:
            self._refused(CHAT_EVENTS, error)
        else:
            finder.move_mark(CHAT_EVENTS, run.started_ms)

    def _leads(self) -> Iterator[Found]:
        directory, finder = self._directory, self._finder
        reader = LeadReader(directory.crm, directory.number_for, self._run.started_ms)
        talks = finder.seen_talks.all(finder.since_ms.get(LEADS))
        yield from reader.leads(talks, finder.marks.searched_from_ms(LEADS))
        finder.move_mark(LEADS, self._run.started_ms)

    def _refused(self, stream: str, error: CrmRefusedError) -> None:
        if stream == LEADS:
            self._finder.marks.refuse(stream, self._run.started_ms)
        if isinstance(error, ForbiddenError) and stream in _FOR_ADMINISTRATORS:
            logger.warning("%s are left out: %s", stream, error)
        else:
            self.problems.append(f"{stream} could not be read: {error}")

    def _waiting_for(self, found: Iterable[Found]) -> Iterator[Found]:
        rows = iter(found)
        while True:
            with self._run.stop.interruptible():
                row = next(rows, None)
            if row is None:
                return
            yield row
