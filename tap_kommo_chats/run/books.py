"""What became of each conversation, booked by one call wherever it is kept."""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import ConversationError, RunError, UnreachableError
from tap_kommo_chats.records.conversations import Outcome
from tap_kommo_chats.run.window import known_after
from tap_kommo_chats.state.ledger import Noted
from tap_kommo_chats.telling import Teller

if TYPE_CHECKING:
    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.records.messages import Row
    from tap_kommo_chats.run.plan import ReadJob
    from tap_kommo_chats.run.window import Reading
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.ledger import Ledger

logger = logging.getLogger("tap-kommo-chats.chat_history")

_NAMED_AT_MOST = 10
_UNREACHABLE_AT_MOST = 20
"""So many conversations in a row that no answer came for are no single one's fault."""

_FAILED_AT_MOST = 50
"""So many that failed while none was read are no single one's fault either."""


@dataclass(slots=True)
class Tally:
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


def bad_entries(count: int) -> list[str]:
    """Say that entries of the lists of conversations are not as they should be."""
    if not count:
        return []
    problem = (
        f"{count} entry(ies) of the lists of conversations are not as they should be "
        "(see the lines above)"
    )
    return [problem]


class Books:
    """Books what became of a conversation in ledger, bookmarks and tally."""

    def __init__(self, ledger: Ledger, bookmarks: Bookmarks, started_ms: int) -> None:
        """Open the books of a run.

        Args:
            ledger: What the run knows of each conversation.
            bookmarks: What the next run goes on from.
            started_ms: When the run began, in milliseconds since 1970.
        """
        self.tally = Tally()
        self._ledger = ledger
        self._bookmarks = bookmarks
        self._started_ms = started_ms
        self._teller = Teller(logger)

    def sum_up(self) -> None:
        """Say of how many rows and failures the log has no line."""
        self._teller.sum_up()

    def unchanged(self, entry: Entry) -> None:
        """Book that a conversation is not asked for, unless that is booked already."""
        if entry.outcome is None:
            self.tally.unchanged += 1
            noted = Noted(Outcome.UNCHANGED, is_told=False)
            self._ledger.note(entry.conversation_id, noted)

    def asked(self, entry: Entry) -> None:
        """Book that a conversation is asked for, be it after all."""
        self.tally.unchanged -= entry.outcome is Outcome.UNCHANGED
        self._ledger.note(entry.conversation_id, Noted(Outcome.ASKED))

    def takes(self, row: Row, job: ReadJob) -> bool:
        """Book a row of a conversation, and tell whether it is to be written."""
        if row.flaw is not None:
            self.tally.rows_without_key += 1
            self._teller.tell(
                f"rows that have {row.flaw} and were not delivered",
                f"Conversation {job.conversation_id}: the row at position "
                f"{row.position} has {row.flaw} and was not delivered",
            )
            return False
        return job.wants(row.sent_ms)

    def read(self, job: ReadJob, reading: Reading) -> None:
        """Book that a conversation was read and all its records were written."""
        end, window = reading.end, reading.window
        id_, before = job.conversation_id, job.known
        newest_ms = self._bookmarks.newest_ms(id_, end.newest_ms or 0, self._started_ms)
        known = known_after(job, newest_ms, self._started_ms, window)
        was_owed = self._bookmarks.is_owed(id_)
        self._bookmarks.keep(id_, known)
        self.tally.unreachable = 0
        self.tally.read += not end.is_empty
        self.tally.empty += end.is_empty
        noted = Noted(
            Outcome.EMPTY if end.is_empty else Outcome.READ,
            newest_ms=end.newest_ms,
            read_ms=time.time_ns() // 1_000_000,
            is_told=before is None
            or was_owed
            or window.written > 0
            or known.acted_ms != before.acted_ms,
        )
        self._ledger.note(id_, noted)

    def failed(self, job: ReadJob, error: Exception) -> None:
        """Book that a conversation could not be read.

        Raises:
            RunError: If that is no single conversation's failure.
        """
        conversation_id = job.conversation_id
        if isinstance(error, RunError):
            raise error
        if not isinstance(error, ConversationError):
            error = _unexpected(error, conversation_id)
        self._teller.tell(str(error).replace(conversation_id, "..."), str(error))
        tally = self.tally
        # One that failed before says nothing of the others.
        tally.failed_anew += not self._bookmarks.is_owed(conversation_id)
        tally.failed.append(conversation_id)
        tally.unreachable = (
            tally.unreachable + 1 if isinstance(error, UnreachableError) else 0
        )
        self._bookmarks.owe(conversation_id, job.activity_ms)
        known = self._bookmarks.known(conversation_id)
        noted = Noted(
            Outcome.FAILED,
            newest_ms=(known.newest_ms or None) if known else None,
            error=str(error),
        )
        self._ledger.note(conversation_id, noted)
        nothing_read = tally.read + tally.empty == 0
        if tally.unreachable >= _UNREACHABLE_AT_MOST or (
            nothing_read and tally.failed_anew >= _FAILED_AT_MOST
        ):
            msg = (
                f"{len(tally.failed)} conversations failed, so the run was stopped;"
                f" the last: {error}"
            )
            raise RunError(msg)


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
