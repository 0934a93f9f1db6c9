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
from tap_kommo_chats.state.layout import Trouble
from tap_kommo_chats.times import format_instant

if TYPE_CHECKING:
    from tap_kommo_chats.kommo.pagination import HistoryPage
    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.records.messages import Row
    from tap_kommo_chats.run.plan import ReadJob
    from tap_kommo_chats.run.witnesses import Witnesses
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.ledger import Ledger

logger = logging.getLogger("tap-kommo-chats.chat_history")

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
        self._pages: dict[str, HistoryPage] = {}
        self._well_and_asked: set[str] = set()
        self._undecided: list[tuple[str, ConversationError]] = []

    def passed_over(self, entry: Entry) -> None:
        """Book that a conversation is not asked for, unless that is booked already."""
        if entry.outcome is not None:
            return
        id_ = entry.conversation_id
        given_up_ms = self._bookmarks.given_up_ms(id_)
        if given_up_ms is None:
            self._note(id_, Outcome.UNCHANGED)
        else:
            when = format_instant(given_up_ms)
            error = f"Given up by the run of {when}: {_COMES_BACK}"
            self._note(id_, Outcome.GIVEN_UP, error=error)

    def asked(self, entry: Entry) -> None:
        """Book that a conversation is asked for, be it after all."""
        if entry.outcome is not None:
            self.tally.outcomes[entry.outcome] -= 1
        if self._bookmarks.is_well(entry.conversation_id):
            self._well_and_asked.add(entry.conversation_id)
        self._ledger.note(entry.conversation_id, Outcome.ASKED)

    def came(self, conversation_id: str, page: HistoryPage) -> None:
        """Book that a page of a conversation came, be it with nothing on it."""
        self._pages[conversation_id] = page
        self._well_and_asked.discard(conversation_id)
        self.verdicts.answer()
        undecided, self._undecided = self._undecided, []
        for id_, error in undecided:
            self._give_up(id_, error)

    def takes(self, row: Row, job: ReadJob) -> bool:
        """Book a row of a conversation, and tell whether it is to be written."""
        if row.flaw is not None:
            self.tally.rows_without_key += 1
            logger.error(
                "Conversation %s: the row at position %d has %s and was not delivered",
                job.conversation_id,
                row.position,
                row.flaw,
            )
            return False
        is_wanted = job.wants(row.sent_ms)
        # Before it is written, because a run that stops does not come back from there.
        self.tally.messages += is_wanted
        return is_wanted

    def ended(self, conversation_id: str) -> None:
        """Book that a conversation was read and all its records were written."""
        page = self._pages.pop(conversation_id)
        if page.is_empty:
            self._book_nothing(conversation_id)
            return
        newest_ms = page.newest_ms
        self._bookmarks.advance(conversation_id, newest_ms or 0, self._started_ms)
        self._note(
            conversation_id, Outcome.READ, newest_ms=newest_ms, read_ms=_now_ms()
        )

    def failed(self, conversation_id: str, error: Exception) -> None:
        """Book that a conversation could not be read.

        Args:
            conversation_id: Kommo's id of it.
            error: Why. When it is that the run stops, nothing failed.

        Raises:
            RunError: If that is no single conversation's failure. It is owed all the
                same, so that the next run asks for others first.
        """
        id_, troubles = conversation_id, self._bookmarks.troubles
        page = self._pages.pop(id_, None)
        self._well_and_asked.discard(id_)
        if isinstance(error, LimiterStoppedError):
            return
        had_rows = page is not None and not page.is_empty
        if had_rows or self._has_messages(id_):
            troubles.expect(id_, self._started_ms)
        if isinstance(error, RunError):
            self._owe(id_, Trouble.FAILING)
            raise error
        if not isinstance(error, ConversationError):
            error = _unexpected(error, id_)
        failed_before = self._bookmarks.failed_before(id_)
        self.verdicts.fail(error, failed_before=failed_before)
        before, now = troubles.kind_of(id_), trouble_of(error)
        is_lasting = is_out_of_patience(troubles.since_ms(id_), self._started_ms)
        if not (before is now is Trouble.REFUSED and is_lasting):
            self._fail(id_, error, now)
        elif self.verdicts.answered:
            self._give_up(id_, error)
        else:
            self._undecided.append((id_, error))
        has_witness = bool(self._well_and_asked) or self._witnesses.any_left
        reason = self.verdicts.everyones(has_witness=has_witness)
        if reason is not None:
            raise RunError(reason)

    def close(self) -> None:
        """Book at the run's end what hung on whether anything is answered."""
        for conversation_id, error in self._undecided:
            self._fail(conversation_id, error, Trouble.REFUSED)
        self._undecided.clear()
        if self.verdicts.failed and not self.verdicts.answered:
            self._bookmarks.troubles.forgive(self._started_ms)

    def _book_nothing(self, conversation_id: str) -> None:
        """Book that Kommo says that a conversation has no message."""
        bookmarks, id_ = self._bookmarks, conversation_id
        meaning = what_nothing_means(
            id_, bookmarks, self._started_ms, is_named=self._has_messages(id_)
        )
        if meaning is Nothing.NOT_BELIEVED:
            msg = f"Conversation {id_}: {_SILENT}"
            self.failed(id_, SilentError(msg))
            return
        if meaning is Nothing.EMPTY:
            bookmarks.advance(id_, 0, self._started_ms)
        elif meaning is Nothing.ONCE_MORE:
            self._owe(id_, Trouble.EMPTIED)
        elif meaning is Nothing.GONE_NOW:
            logger.warning("Conversation %s: %s", id_, _GONE)
            bookmarks.troubles.end(id_)
            bookmarks.troubles.begin(id_, Trouble.GONE, self._started_ms)
        is_gone = meaning in {Nothing.GONE_NOW, Nothing.GONE}
        outcome = Outcome.GONE if is_gone else Outcome.EMPTY
        self._note(id_, outcome, read_ms=_now_ms())

    def _fail(
        self, conversation_id: str, error: ConversationError, trouble: Trouble
    ) -> None:
        logger.error("%s", error)
        self.tally.failed.append(conversation_id)
        self._owe(conversation_id, trouble)
        self._note(conversation_id, Outcome.FAILED, error=str(error))

    def _give_up(self, conversation_id: str, error: ConversationError) -> None:
        text = f"{error}. {_GIVEN_UP}: {_COMES_BACK}"
        logger.warning("%s", text)
        self._owe(conversation_id, Trouble.GIVEN_UP)
        self._note(conversation_id, Outcome.GIVEN_UP, error=text)

    def _owe(self, conversation_id: str, trouble: Trouble) -> None:
        self._bookmarks.owe(conversation_id)
        self._bookmarks.troubles.begin(conversation_id, trouble, self._started_ms)

    def _has_messages(self, conversation_id: str) -> bool:
        """Tell whether a source of this run knows of a message in it."""
        entry = self._ledger.entry(conversation_id)
        return entry is not None and entry.has_messages

    def _note(
        self,
        conversation_id: str,
        outcome: Outcome,
        *,
        newest_ms: int | None = None,
        read_ms: int | None = None,
        error: str | None = None,
    ) -> None:
        """Count an outcome, and note it with the newest message that was ever read."""
        self.tally.outcomes[outcome] += 1
        if outcome is not Outcome.READ:
            newest_ms = self._bookmarks.read_until_ms(conversation_id) or None
        self._ledger.note(
            conversation_id, outcome, newest_ms=newest_ms, read_ms=read_ms, error=error
        )


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
