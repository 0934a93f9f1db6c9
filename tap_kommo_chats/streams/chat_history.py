"""The streams, as the SDK asks for them."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from singer_sdk import metrics
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from singer_sdk.streams.rest import HTTPRequest, PageContext

from tap_kommo_chats.errors import (
    ConversationError,
    IncompleteRunError,
    RunError,
    StopRequestedError,
    UnreachableError,
)
from tap_kommo_chats.kommo.client import ChatsAPIStream
from tap_kommo_chats.kommo.limiter import LimiterStoppedError, RequestLimiter
from tap_kommo_chats.kommo.pagination import (
    PAGE_SIZE,
    HistoryPage,
    HistoryPaginator,
    PagingError,
)
from tap_kommo_chats.records.messages import SCHEMA, Record, read_row, to_record
from tap_kommo_chats.run.progress import Progress, Snapshot
from tap_kommo_chats.run.threads import End, Failure, Part, Quiet, read_all
from tap_kommo_chats.state.bookmarks import Bookmarks, StatePace
from tap_kommo_chats.state.ledger import Outcome
from tap_kommo_chats.streams.plain import PlainStream
from tap_kommo_chats.streams.writer import flush_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests
    from singer_sdk.helpers.types import Context

    from tap_kommo_chats.records.messages import Row
    from tap_kommo_chats.state.ledger import Entry
    from tap_kommo_chats.tap import TapKommoChats

_NAMED_AT_MOST = 10
_UNREACHABLE_AT_MOST = 20
"""So many conversations in a row that no answer came for are no single one's fault."""

_FAILED_AT_MOST = 50
"""So many that failed while none was read are no single one's fault either."""


@dataclass(frozen=True, slots=True)
class ToRead:
    """A conversation to read.

    Attributes:
        conversation_id: Kommo's id of it.
        since_ms: Messages sent before this are not wanted, in milliseconds since
            1970; None for all.
    """

    conversation_id: str
    since_ms: int | None


@dataclass(slots=True)
class RunTally:
    """How the conversations of a run fared.

    Attributes:
        read: How many were read and have messages.
        empty: How many have none.
        unchanged: How many were not asked for, because a source knew that nothing
            happened in them.
        failed: The ids of those that could not be read.
        failed_anew: How many of them had not failed in an earlier run.
        unreachable: How many of the last ones got no answer, in a row.
        rows_without_key: How many rows could not be delivered.
        messages: How many messages were emitted.
    """

    read: int = 0
    empty: int = 0
    unchanged: int = 0
    failed: list[str] = field(default_factory=list)
    failed_anew: int = 0
    unreachable: int = 0
    rows_without_key: int = 0
    messages: int = 0

    @property
    def done(self) -> int:
        """How many conversations the run is done with."""
        return self.read + self.empty + self.unchanged + len(self.failed)

    def numbers(self) -> dict[str, int]:
        """Name the numbers of the line, as attributes of a line of the log."""
        return {
            "conversations_read": self.read,
            "conversations_empty": self.empty,
            "conversations_unchanged": self.unchanged,
            "conversations_failed": len(self.failed),
        }

    def __str__(self) -> str:
        """Sum it up in a line."""
        return (
            f"conversations read: {self.read}, empty: {self.empty}, "
            f"unchanged: {self.unchanged}, failed: {len(self.failed)}"
        )

    def problems(self) -> list[str]:
        """Say what was not delivered, a clause each."""
        found = []
        if self.failed:
            named = ", ".join(self.failed[:_NAMED_AT_MOST])
            more = ", ..." if len(self.failed) > _NAMED_AT_MOST else ""
            found.append(
                f"{len(self.failed)} conversation(s) could not be read and will be "
                f"asked for again by the next run ({named}{more})"
            )
        if self.rows_without_key:
            found.append(
                f"{self.rows_without_key} row(s) could not be delivered (see the lines "
                "above, and ask Kommo's support)"
            )
        return found


class ChatHistoryStream(PlainStream, ChatsAPIStream):
    """The messages of every conversation, one record each."""

    name = "chat_history"
    path = "/v2/origin/custom/{scope_id}/chats/{conversation_id}/history"
    primary_keys = ("conversation_id", "message_id")
    replication_key = "sent_at"
    schema: ClassVar[dict[str, Any]] = SCHEMA

    def __init__(self, tap: TapKommoChats) -> None:
        """Make the stream.

        Args:
            tap: The tap it belongs to, whose settings it reads when it runs.
        """
        super().__init__(tap=tap)
        self.is_complete = False
        self._paginator = HistoryPaginator()
        self._tally = RunTally()
        self._pace = StatePace()
        self._progress: Progress | None = None
        self._all_known = False

    # One conversation, in a worker's copy of the stream

    def _new_reader(self) -> Callable[[ToRead], Iterable[HistoryPage]]:
        return self.new_worker()._read_conversation  # noqa: SLF001 (its own copy)

    def _read_conversation(self, to_read: ToRead) -> Iterable[HistoryPage]:
        self.conversation_id = to_read.conversation_id
        self._paginator = HistoryPaginator(to_read.since_ms)
        warned = False
        for page in self.request_records({"conversation_id": to_read.conversation_id}):
            history = cast("HistoryPage", page)
            if not (history.newest_first or warned):
                warned = True
                self.logger.warning(
                    "Conversation %s does not come newest first: it is read to its end",
                    to_read.conversation_id,
                )
            yield history

    def get_new_paginator(self) -> HistoryPaginator:
        """Walk through the conversation at hand.

        Returns:
            Its paginator, at the newest message.
        """
        return self._paginator

    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        """Ask for one page of one conversation.

        Args:
            page: The conversation, as `stream_context`, and the offset.

        Returns:
            The request, not yet signed.
        """
        context = page.stream_context or {}
        path = self.path.format(
            scope_id=quote(self.settings.scope_id, safe=""),
            conversation_id=quote(context["conversation_id"], safe=""),
        )
        return HTTPRequest(
            url=f"{self.url_base}{path}",
            params={"offset": page.next_page_token, "limit": PAGE_SIZE},
            headers={"Accept": "application/json"},
        )

    def parse_response(  # type: ignore[override]
        self,
        response: requests.Response,  # noqa: ARG002 (its rows are there already)
    ) -> Iterable[HistoryPage]:
        """Put the rows of the last answer to the conversation.

        The SDK's paging loop passes on whatever this yields; `get_records` takes
        pages apart.

        Args:
            response: Not looked at: `rows` has been decoded from it.

        Yields:
            The page, also when it brings nothing new.

        Raises:
            ConversationError: If the pages cannot be put together.
        """
        offset = self._paginator.current_value
        rows = [
            read_row(value, offset + place) for place, value in enumerate(self.rows)
        ]
        try:
            yield self._paginator.accept(rows)
        except PagingError as error:
            msg = f"Conversation {self.conversation_id}: {error}; tell Kommo's support"
            raise ConversationError(msg) from None

    # All conversations

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Read every conversation, several at once.

        A conversation's bookmark moves when the record after its last one is asked
        for, because the last one has been written by then.

        Args:
            context: Not used: the stream has no partitions, because the SDK's cost
                grows with the square of their number.

        Yields:
            One record per message.

        Raises:
            RunError: If no conversation can be read.
            TargetGoneError: If the target is gone.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        start_ms = self.kommo_tap.initialized_at
        ledger = self.kommo_tap.ledger
        bookmarks = self._open_bookmarks()
        newest_ms: dict[str, int] = {}
        self._tally = RunTally()
        # Before any worker is made, so that all share it.
        self.limiter = RequestLimiter(self.settings.requests_per_second)
        self._all_known = self.settings.crm is None
        self._progress = progress = Progress(self.logger, self._snapshot)
        events = read_all(
            self._conversations(bookmarks),
            self._new_reader,
            self.settings.max_concurrency,
        )
        try:
            with metrics.http_request_counter(self.name, self.path) as requests_made:
                for event in events:
                    self.stop_if_asked()
                    progress.tick()
                    if isinstance(event, Quiet):
                        flush_output()
                    if isinstance(event, Part):
                        requests_made.increment()
                        to_read, page = event.conversation, event.content
                        newest_ms[to_read.conversation_id] = page.newest_ms
                        yield from self._to_records(page.rows, to_read)
                    elif isinstance(event, End):
                        conversation_id = event.conversation.conversation_id
                        newest = newest_ms.pop(conversation_id)
                        self._note_end(conversation_id, newest, bookmarks)
                    elif isinstance(event, Failure):
                        newest_ms.pop(event.conversation.conversation_id, None)
                        self._note_failure(event, bookmarks)
            listed = None if self.settings.crm else ledger.conversation_ids()
            bookmarks.complete(start_ms, listed)
            self.is_complete = True
            if self.kommo_tap.last_selected is self:
                self.complete_discovery()
        except StopRequestedError:
            self.stop_if_asked()
        except RunError:
            # A signal may be what broke into something.
            self.stop_if_asked()
            self._write_state()
            raise
        finally:
            self.limiter.stop()
            events.close()
            progress.end(str(self._tally).capitalize(), self._tally.numbers())
            self._progress = None

    def _open_bookmarks(self) -> Bookmarks:
        """Take over the state, and say what of it does not go on from the last run."""
        bookmarks = Bookmarks(self.stream_state)
        if note := bookmarks.take_shard(self.settings.shard):
            self.logger.warning(note)
        if bookmarks.is_empty:
            self.logger.info(
                "There is no state: every conversation is read from its beginning"
            )
        return bookmarks

    def show_progress(self) -> None:
        """Show how far the run is, if there is one and it is time to."""
        if self._progress is not None:
            self._progress.tick()

    def _snapshot(self, seconds: float) -> Snapshot:
        crm_client = self.kommo_tap.crm_client
        return Snapshot(
            seconds=seconds,
            done=self._tally.done,
            known=self.kommo_tap.ledger.size,
            all_known=self._all_known,
            messages=self._tally.messages,
            requests=self.limiter.requests_made,
            crm_requests=None if crm_client is None else crm_client.requests_made,
        )

    def complete_discovery(self) -> None:
        """Note that what the CRM told was read, or is owed, and its talks written.

        To be called when nothing of a complete run is left to be written.
        """
        crm = self.settings.crm
        if self.is_complete and crm is not None:
            start_ms = self.kommo_tap.initialized_at
            Bookmarks(self.stream_state).note_discovery(start_ms, crm.origins)

    def _conversations(self, bookmarks: Bookmarks) -> Iterable[ToRead]:
        """Say which of the conversations there are have to be read."""
        settings, ledger = self.settings, self.kommo_tap.ledger
        again = self.replication_method == REPLICATION_FULL_TABLE
        crm = self.settings.crm
        hints_since_ms = bookmarks.hints_since_ms(crm.origins if crm else ())
        for entry in _owed_last(
            self.kommo_tap.survey(bookmarks, from_beginning=again), bookmarks
        ):
            # Thousands may be passed over before one is read.
            self.show_progress()
            if entry.outcome not in {None, Outcome.UNCHANGED}:
                # It was asked for already in this run.
                continue
            conversation_id = entry.conversation_id
            if not again and self._has_nothing_new(entry, bookmarks, hints_since_ms):
                if entry.outcome is None:
                    self._tally.unchanged += 1
                    newest_ms = bookmarks.read_until_ms(conversation_id)
                    ledger.note(conversation_id, Outcome.UNCHANGED, newest_ms=newest_ms)
                continue
            self._tally.unchanged -= entry.outcome is Outcome.UNCHANGED
            ledger.note(conversation_id, Outcome.ASKED)
            cutoff_ms = bookmarks.cutoff_ms(conversation_id, settings.lookback_ms)
            if cutoff_ms is None or again:
                yield ToRead(conversation_id, settings.start_ms)
            else:
                since_ms = max(cutoff_ms + 1, settings.start_ms or 0)
                yield ToRead(conversation_id, since_ms)
        self._all_known = True

    def _has_nothing_new(
        self, entry: Entry, bookmarks: Bookmarks, hints_since_ms: int
    ) -> bool:
        last_activity_ms = entry.last_activity_ms
        if last_activity_ms is None or bookmarks.is_owed(entry.conversation_id):
            return False
        last_activity_ms += self.settings.hint_margin_ms
        if last_activity_ms < (self.settings.start_ms or 0):
            # Nothing of it is wanted.
            return True
        return last_activity_ms < hints_since_ms and bookmarks.is_covered(
            entry.conversation_id
        )

    def _to_records(self, rows: Iterable[Row], to_read: ToRead) -> Iterable[Record]:
        scope_id = self.settings.scope_id
        for row in rows:
            if row.flaw is not None:
                self._tally.rows_without_key += 1
                self.logger.error(
                    "Conversation %s: the row at position %d has %s and was not "
                    "delivered",
                    to_read.conversation_id,
                    row.position,
                    row.flaw,
                )
            elif (
                to_read.since_ms is None
                or row.sent_ms is None
                or row.sent_ms >= to_read.since_ms
                # A broken clock's, so nothing tells whether it is new.
                or row.sent_ms <= 0
            ):
                # Before, because a run that stops does not come back from there.
                self._tally.messages += 1
                yield to_record(row, scope_id, to_read.conversation_id)
                self.stop_if_asked()

    def _note_end(
        self, conversation_id: str, newest_ms: int, bookmarks: Bookmarks
    ) -> None:
        bookmarks.advance(conversation_id, newest_ms, self.kommo_tap.initialized_at)
        self._tally.unreachable = 0
        self._tally.read += newest_ms > 0
        self._tally.empty += newest_ms == 0
        self.kommo_tap.ledger.note(
            conversation_id,
            Outcome.READ if newest_ms else Outcome.EMPTY,
            newest_ms=newest_ms,
            read_ms=time.time_ns() // 1_000_000,
        )
        self._write_state_when_due(bookmarks)

    def _note_failure(self, failure: Failure[ToRead], bookmarks: Bookmarks) -> None:
        """Let one conversation's failure be its own, unless it is everyone's."""
        error, conversation_id = failure.error, failure.conversation.conversation_id
        if isinstance(error, LimiterStoppedError):
            # What stopped the run is on its way.
            return
        if not isinstance(error, ConversationError | RunError):
            error = _unexpected(error, conversation_id)
        if isinstance(error, ConversationError):
            self.logger.error("%s", error)
            # One that failed before says nothing of the others.
            self._tally.failed_anew += not bookmarks.is_owed(conversation_id)
            bookmarks.owe(conversation_id)
            self.kommo_tap.ledger.note(
                conversation_id,
                Outcome.FAILED,
                newest_ms=bookmarks.read_until_ms(conversation_id),
                error=str(error),
            )
            tally = self._tally
            tally.failed.append(conversation_id)
            tally.unreachable = (
                tally.unreachable + 1 if isinstance(error, UnreachableError) else 0
            )
            nothing_read = tally.read + tally.empty == 0
            if tally.unreachable >= _UNREACHABLE_AT_MOST or (
                nothing_read and tally.failed_anew >= _FAILED_AT_MOST
            ):
                error = RunError(
                    f"{len(tally.failed)} conversations failed, so the run was stopped;"
                    f" the last: {error}"
                )
        if isinstance(error, RunError):
            raise error

    def stop_if_asked(self) -> None:
        """End the run if a signal asked to, with what is done in the state.

        Raises:
            SystemExit: If one did; its code is the signal's.
        """
        signal_number = self.kommo_tap.stop_signal
        if signal_number is not None:
            self._write_state()
            # Here and not at the interpreter's end, where nothing could stop it.
            flush_output()
            self.logger.warning("Stopped by signal %d", signal_number)
            raise SystemExit(128 + signal_number)

    def _write_state_when_due(self, bookmarks: Bookmarks) -> None:
        if self._pace.due():
            started = time.monotonic()
            self._write_state()
            self._pace.wrote(time.monotonic() - started, bookmarks.size_bytes)

    def _write_state(self) -> None:
        self.kommo_tap.state_writer.write_state(self.tap_state)

    def log_sync_costs(self) -> None:
        """Close the stream's run: the last the SDK asks of it, after the last STATE.

        Raises:
            IncompleteRunError: If something could not be delivered, so that the run
                ends non-zero after everything else was.
        """
        super().log_sync_costs()
        problems = self._tally.problems()
        if flaws := self.kommo_tap.entries_with_flaw:
            problems.append(
                f"{flaws} entry(ies) of the lists of conversations are not as they "
                "should be (see the lines above)"
            )
        if problems:
            msg = f"Not everything was delivered: {'; '.join(problems)}"
            raise IncompleteRunError(msg)


def _owed_last(entries: Iterable[Entry], bookmarks: Bookmarks) -> Iterator[Entry]:
    """Put off what failed before, so that it cannot keep the others from being read."""
    owed: dict[str, Entry] = {}
    for entry in entries:
        if bookmarks.is_owed(entry.conversation_id):
            # What is known of it last counts.
            owed[entry.conversation_id] = entry
        else:
            yield entry
    yield from owed.values()


def _unexpected(error: Exception, conversation_id: str) -> ConversationError:
    """Make of a mistake in this code a failure, without what the data may have in it.

    The text of such an exception is left out, because it may quote a message.
    """
    place = ""
    if error.__traceback__ is not None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f" in {Path(last.filename).name}, line {last.lineno}"
    return ConversationError(
        f"Conversation {conversation_id}: {type(error).__name__}{place}; this is a "
        "mistake in the tap, please report this line"
    )
