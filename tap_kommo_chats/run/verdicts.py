"""Whose failure it is, and how long it counts. Pure: told what happened, in order.

Kommo answers a conversation that is not of one's channel with the same code as a wrong
secret. What tells them apart is whether anything else is answered. So while that is in
doubt conversations are asked for one by one, and those that were read in an earlier run
go first, as witnesses.
"""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import RefusedError, SilentError, UnreachableError
from tap_kommo_chats.state.layout import Trouble
from tap_kommo_chats.times import DAY_MS

if TYPE_CHECKING:
    from tap_kommo_chats.errors import ConversationError
    from tap_kommo_chats.state.bookmarks import Bookmarks

REFUSED_AT_MOST = 3
"""So many different conversations that are refused while none is answered are no single
one's fault."""

IN_A_ROW_AT_MOST = 20
"""So many in a row that no answer came for, or that are refused though others were
answered. Kommo blocks addresses, and networks go away."""

FAILED_AT_MOST = 50
"""So many that failed in whatever way while none was answered."""

WITNESSES_AT_MOST = 3

PATIENCE_MS = 7 * DAY_MS
"""How long Kommo has to say the same before it is believed."""

_NOT_GIVEN = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
)


class Verdicts:
    """Tells from what happened to conversations whether it happens to all of them.

    Attributes:
        answered: Whether Kommo answered any request of this run as it should.
        failed: How many conversations could not be read.
    """

    def __init__(self) -> None:
        """Start with nothing asked."""
        self.answered = False
        self._last: ConversationError | None = None
        self.failed = 0
        self._failed_anew = 0
        self._suspected = 0
        self._in_a_row = 0
        self._only_refused = True
        self._witnesses_left = WITNESSES_AT_MOST

    def answer(self) -> None:
        """Note that a conversation was answered, be it with nothing."""
        self.answered = True
        self._in_a_row = 0
        self._witnesses_left = WITNESSES_AT_MOST

    def fail(self, error: ConversationError, *, failed_before: bool) -> None:
        """Note that a conversation could not be read.

        Args:
            error: Why.
            failed_before: Whether it could not in an earlier run either. Then it says
                less of the others.
        """
        is_suspect = _suspicion(error) is not None
        self._last = error
        self.failed += 1
        self._suspected += is_suspect
        self._only_refused = self._only_refused and isinstance(error, RefusedError)
        if not failed_before:
            self._failed_anew += 1
            counts = is_suspect or isinstance(error, UnreachableError)
            self._in_a_row = self._in_a_row + 1 if counts else 0

    def call_witness(self) -> None:
        """Note that a witness is asked for next."""
        self._witnesses_left -= 1

    @property
    def wants_witness(self) -> bool:
        """Whether one that was read in an earlier run is to be asked for next."""
        in_doubt = self._has_row or (not self.answered and self.failed > 0)
        return in_doubt and self._witnesses_left > 0

    @property
    def goes_alone(self) -> bool:
        """Whether conversations are to be asked for one by one.

        What takes its time to fail, such as a server in trouble, does not wait.
        """
        return self._has_row or (not self.answered and self._only_refused)

    def everyones(self, *, has_witness: bool) -> str | None:
        """Say that the failures are everyone's.

        Args:
            has_witness: Whether there is one that was not asked for in this run, or one
                that was and has not been answered yet.

        Returns:
            What stops the run, and what to change; None when it goes on.
        """
        error = self._last
        if error is None:
            return None
        suspicion = _suspicion(error)
        if not self.answered and self._suspected >= REFUSED_AT_MOST and suspicion:
            return suspicion
        if has_witness and self._witnesses_left > 0:
            return None
        nothing_answered = not self.answered and self._failed_anew >= FAILED_AT_MOST
        if not (self._has_row or nothing_answered):
            return None
        return (
            f"{self.failed} conversations failed, so the run was stopped; the last: "
            f"{suspicion or error}"
        )

    @property
    def _has_row(self) -> bool:
        return self._in_a_row >= IN_A_ROW_AT_MOST


def _suspicion(error: ConversationError) -> str | None:
    """Say what is wrong if others fail in the same way; None if that says nothing."""
    return error.suspicion if isinstance(error, RefusedError) else None


def trouble_of(error: ConversationError) -> Trouble:
    """Tell which trouble a conversation is in that could not be read."""
    if isinstance(error, SilentError):
        return Trouble.SILENT
    is_refusal = isinstance(error, RefusedError) and error.status in _NOT_GIVEN
    return Trouble.REFUSED if is_refusal else Trouble.FAILING


def is_out_of_patience(since_ms: int | None, start_ms: int) -> bool:
    """Tell whether Kommo has said the same for so long that it is believed.

    Args:
        since_ms: When the run began since which it said nothing else, in milliseconds
            since 1970; None when it says so for the first time.
        start_ms: When this run began.
    """
    return since_ms is not None and start_ms - since_ms >= PATIENCE_MS


class Nothing(Enum):
    """What it means that a conversation has no message."""

    EMPTY = auto()
    """Nobody says otherwise."""

    ONCE_MORE = auto()
    """It had some when it was read before, so that a later run asks once more."""

    GONE_NOW = auto()
    """It had some, and was asked for often enough: that is to be told."""

    GONE = auto()
    """That was told before."""

    NOT_BELIEVED = auto()
    """Somebody knows of a message in it."""


def what_nothing_means(
    conversation_id: str, bookmarks: Bookmarks, start_ms: int, *, is_named: bool
) -> Nothing:
    """Tell what it means that Kommo says that a conversation has no message.

    Kommo answers the same for one that does not exist (documented).

    Args:
        conversation_id: The conversation.
        bookmarks: What earlier runs knew of it.
        start_ms: When this run began, in milliseconds since 1970.
        is_named: Whether a source of this run knows of a message in it.
    """
    trouble = bookmarks.troubles.kind_of(conversation_id)
    since_ms = bookmarks.troubles.since_ms(conversation_id)
    if is_named:
        return Nothing.NOT_BELIEVED
    if trouble is Trouble.GONE:
        return Nothing.GONE
    if bookmarks.troubles.is_unread(conversation_id):
        is_silent = trouble is Trouble.SILENT
        if is_silent and is_out_of_patience(since_ms, start_ms):
            return Nothing.GONE_NOW
        return Nothing.NOT_BELIEVED
    if trouble is Trouble.EMPTIED and (since_ms or 0) < start_ms:
        return Nothing.GONE_NOW
    had_some = bookmarks.had_messages(conversation_id)
    return Nothing.ONCE_MORE if had_some else Nothing.EMPTY
