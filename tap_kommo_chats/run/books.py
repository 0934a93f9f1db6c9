"""What became of each conversation, booked by one call wherever it is kept."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import (
    ConversationError,
    LimiterStoppedError,
    RunError,
    SilentError,
)
from tap_kommo_chats.records.conversations import Outcome
from tap_kommo_chats.run.tally import Tally
from tap_kommo_chats.run.verdicts import (
    Nothing,
    Verdicts,
    is_out_of_patience,
    trouble_of,
    what_nothing_means,
)
from tap_kommo_chats.run.window import acted_on_ms, known_after
from tap_kommo_chats.state.layout import Trouble
from tap_kommo_chats.state.ledger import Noted
from tap_kommo_chats.telling import Teller
from tap_kommo_chats.times import format_instant, whole_second

if TYPE_CHECKING:
    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.records.messages import Row
    from tap_kommo_chats.run.plan import ReadJob
    from tap_kommo_chats.run.window import Reading
    from tap_kommo_chats.run.witnesses import Witnesses
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.ledger import Ledger

logger = logging.getLogger("tap-kommo-chats.chat_history")

_UNCHANGED = Noted(Outcome.UNCHANGED, is_told=False)
_SILENT = (
    "Kommo answered that it has no messages, but there was at least one: if that stays "
    "so, tell Kommo's support, or name it in ignored_conversation_ids"
)
_GONE = (
    "it had messages, and Kommo keeps answering that it has none: it is taken for "
    "gone; should it be asked for again and have some, they are read"
)
_GIVEN_UP = "It was answered nothing but 400, 403 or 404 for a week and is given up"
_COMES_BACK = (
    "it is asked for again when a source tells of something new in it, or when it is "
    "taken out of ignored_conversation_ids after a run with it there"
)


class Books:
    """Books what became of a conversation in ledger, bookmarks and tally.

    Attributes:
        tally: How the conversations fared so far.
        verdicts: Whose failures they are.
    """

    def __init__(
        self,
        ledger: Ledger,
        bookmarks: Bookmarks,
        witnesses: Witnesses,
        started_ms: int,
    ) -> None:
        """Open the books of a run.

        Args:
            ledger: What the run knows of each conversation.
            bookmarks: What the next run goes on from.
            witnesses: Those that tell whether anything can be read.
            started_ms: When the run began, in milliseconds since 1970.
        """
        self.tally = Tally()
        self.verdicts = Verdicts()
        self._ledger = ledger
        self._bookmarks = bookmarks
        self._witnesses = witnesses
        self._started_ms = started_ms
        self._well_and_asked: set[str] = set()
        self._undecided: list[tuple[ReadJob, ConversationError]] = []
        self._teller = Teller(logger)

    def sum_up(self) -> None:
        """Say of how many rows and failures the log has no line."""
        self._teller.sum_up()

    def passed_over(self, entry: Entry) -> None:
        """Book that a conversation is not asked for, unless that is booked already."""
        if entry.outcome is not None:
            return
        id_ = entry.conversation_id
        given_up_ms = self._bookmarks.troubles.given_up_ms(id_)
        if given_up_ms is None:
            # Nearly all are, so nothing more is looked up for what nobody is told.
            self.tally.outcomes[Outcome.UNCHANGED] += 1
            self._ledger.note(id_, _UNCHANGED)
        else:
            when = format_instant(given_up_ms)
            error = f"Given up by the run of {when}: {_COMES_BACK}"
            self._note(id_, Noted(Outcome.GIVEN_UP, error=error, is_told=False))

    def asked(self, entry: Entry) -> None:
        """Book that a conversation is asked for, be it after all."""
        if entry.outcome is not None:
            self.tally.outcomes[entry.outcome] -= 1
        if self._bookmarks.is_well(entry.conversation_id):
            self._well_and_asked.add(entry.conversation_id)
        self._ledger.note(entry.conversation_id, Noted(Outcome.ASKED))

    def came(self, job: ReadJob) -> None:
        """Book that a page of a conversation came, be it with nothing on it."""
        self._well_and_asked.discard(job.conversation_id)
        self.verdicts.answer()
        undecided, self._undecided = self._undecided, []
        for each, error in undecided:
            self._give_up(each, error)

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
        if not reading.end.is_empty:
            self._book_read(job, reading, Outcome.READ)
            return
        id_ = job.conversation_id
        meaning = what_nothing_means(
            id_, self._bookmarks, self._started_ms, is_named=self._has_messages(id_)
        )
        if meaning is Nothing.EMPTY:
            self._book_read(job, reading, Outcome.EMPTY)
        elif meaning is Nothing.NOT_BELIEVED:
            msg = f"Conversation {id_}: {_SILENT}"
            self.failed(job, SilentError(msg), had_rows=False)
        else:
            self._book_nothing(job, meaning)

    def failed(self, job: ReadJob, error: Exception, *, had_rows: bool) -> None:
        """Book that a conversation could not be read.

        Args:
            job: What was to be read.
            error: Why. When it is that the run stops, nothing failed.
            had_rows: Whether some of it came.

        Raises:
            RunError: If that is no single conversation's failure. It is owed all the
                same, so that the next run asks for others first.
        """
        id_, troubles = job.conversation_id, self._bookmarks.troubles
        self._well_and_asked.discard(id_)
        if isinstance(error, LimiterStoppedError):
            return
        if had_rows or self._has_messages(id_):
            troubles.expect(id_, self._started_ms)
        if isinstance(error, RunError):
            self._owe(job, Trouble.FAILING)
            raise error
        if not isinstance(error, ConversationError):
            error = _unexpected(error, id_)
        failed_before = self._bookmarks.failed_before(id_)
        self.verdicts.fail(error, failed_before=failed_before)
        before, now = troubles.kind_of(id_), trouble_of(error)
        is_lasting = is_out_of_patience(troubles.since_ms(id_), self._started_ms)
        if not (before is now is Trouble.REFUSED and is_lasting):
            self._fail(job, error, now)
        elif self.verdicts.answered:
            self._give_up(job, error)
        else:
            self._undecided.append((job, error))
        has_witness = bool(self._well_and_asked) or self._witnesses.any_left
        reason = self.verdicts.everyones(has_witness=has_witness)
        if reason is not None:
            raise RunError(reason)

    def close(self) -> None:
        """Book at the run's end what hung on whether anything is answered."""
        for job, error in self._undecided:
            self._fail(job, error, Trouble.REFUSED)
        self._undecided.clear()
        if self.verdicts.failed and not self.verdicts.answered:
            self._bookmarks.troubles.forgive(self._started_ms)

    def _book_read(self, job: ReadJob, reading: Reading, outcome: Outcome) -> None:
        end, window, bookmarks = reading.end, reading.window, self._bookmarks
        id_, before = job.conversation_id, job.known
        newest_ms = bookmarks.newest_ms(id_, end.newest_ms or 0, self._started_ms)
        known = known_after(job, newest_ms, self._started_ms, window)
        was_well = bookmarks.is_well(id_)
        bookmarks.keep(id_, known)
        noted = Noted(
            outcome,
            newest_ms=end.newest_ms,
            read_ms=_now_ms(),
            is_told=before is None
            or not was_well
            or window.written > 0
            or known.acted_ms != before.acted_ms,
        )
        self._note(id_, noted)

    def _book_nothing(self, job: ReadJob, meaning: Nothing) -> None:
        """Book that a conversation that had messages seems to have none."""
        id_, troubles = job.conversation_id, self._bookmarks.troubles
        if meaning is Nothing.ONCE_MORE:
            self._owe(job, Trouble.EMPTIED)
            self._note(id_, Noted(Outcome.EMPTY, read_ms=_now_ms()))
            return
        is_new = meaning is Nothing.GONE_NOW
        if is_new:
            kind = "conversations that are gone"
            self._teller.tell(kind, f"Conversation {id_}: {_GONE}", logging.WARNING)
            troubles.end(id_)
        self._settle(job, Trouble.GONE)
        self._note(id_, Noted(Outcome.GONE, read_ms=_now_ms(), is_told=is_new))

    def _fail(self, job: ReadJob, error: ConversationError, trouble: Trouble) -> None:
        id_ = job.conversation_id
        self._teller.tell(str(error).replace(id_, "..."), str(error))
        self.tally.failed.append(id_)
        self._owe(job, trouble)
        self._note(id_, Noted(Outcome.FAILED, error=str(error)))

    def _give_up(self, job: ReadJob, error: ConversationError) -> None:
        text = f"{error}. {_GIVEN_UP}: {_COMES_BACK}"
        self._teller.tell("conversations that were given up", text, logging.WARNING)
        self._settle(job, Trouble.GIVEN_UP)
        self._note(job.conversation_id, Noted(Outcome.GIVEN_UP, error=text))

    def _owe(self, job: ReadJob, trouble: Trouble) -> None:
        id_ = job.conversation_id
        self._bookmarks.owe(id_, job.activity_ms)
        self._bookmarks.troubles.begin(id_, trouble, self._started_ms)

    def _settle(self, job: ReadJob, trouble: Trouble) -> None:
        """Owe a conversation no more, until something happens that was not acted on."""
        id_, started_ms = job.conversation_id, self._started_ms
        acted_ms = acted_on_ms(job.activity_ms, whole_second(started_ms))
        self._bookmarks.owe(id_, acted_ms)
        self._bookmarks.troubles.begin(id_, trouble, started_ms)

    def _has_messages(self, conversation_id: str) -> bool:
        """Tell whether a source of this run knows of a message in it."""
        entry = self._ledger.entry(conversation_id)
        return entry is not None and entry.has_messages

    def _note(self, conversation_id: str, noted: Noted) -> None:
        """Count an outcome, and note it with the newest message that was ever read."""
        self.tally.outcomes[noted.outcome] += 1
        if noted.outcome is not Outcome.READ:
            known = self._bookmarks.known(conversation_id)
            newest_ms = (known.newest_ms or None) if known else None
            noted = noted._replace(newest_ms=newest_ms)
        self._ledger.note(conversation_id, noted)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


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
