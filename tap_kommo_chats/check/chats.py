"""What the Chats API is asked for in a check: the newest rows of one conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tap_kommo_chats.check.ask import NOT_ASKED
from tap_kommo_chats.errors import RefusedError, RunError
from tap_kommo_chats.kommo.chats import HISTORY_PATH
from tap_kommo_chats.kommo.history import read_history
from tap_kommo_chats.records.messages import read_row

if TYPE_CHECKING:
    import requests

    from tap_kommo_chats.check.ask import Answer, Asker
    from tap_kommo_chats.kommo.history import History
    from tap_kommo_chats.records.messages import Row

ROWS_ASKED = 20
"""As few as tell their order: they have texts in them."""

NO_CHAT = "00000000-0000-4000-8000-000000000000"
"""Asked for where no conversation is known: one that does not exist is 204 (documented
by Kommo)."""

_PAST_THE_END = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ChatsAnswers:
    """What the Chats API answered.

    Attributes:
        is_known: Whether the conversation is one that there is.
        newest: Its newest rows.
        past_the_end: What lies past its end.
    """

    is_known: bool = False
    newest: Answer = NOT_ASKED
    past_the_end: Answer = NOT_ASKED

    @property
    def rows(self) -> list[Row]:
        """The newest rows."""
        return rows_of_history(self.newest)


def ask_chats(asker: Asker, scope_id: str, conversation_id: str | None) -> ChatsAnswers:
    """Ask for a conversation, and for what lies past its end.

    Args:
        asker: Asks.
        scope_id: The channel connected to its account.
        conversation_id: The conversation; None when none is known.
    """
    path = HISTORY_PATH.format(
        scope_id=quote(scope_id, safe=""),
        conversation_id=quote(conversation_id or NO_CHAT, safe=""),
    )

    def read(response: requests.Response) -> History:
        try:
            return read_history(
                response,
                conversation_id or NO_CHAT,
                datetime.now(timezone.utc),
                was_accepted=False,
                asked_too_much=False,
            )
        except RefusedError as error:
            # Nothing else was asked that tells whose failure it is.
            raise RunError(error.suspicion or str(error)) from None

    def ask(offset: int, limit: int) -> Answer:
        query = urlencode({"offset": offset, "limit": limit})
        return asker.ask(path, query, read)

    newest = ask(0, ROWS_ASKED)
    has_rows = newest.is_good and newest.status == HTTPStatus.OK
    return ChatsAnswers(
        conversation_id is not None,
        newest,
        ask(_PAST_THE_END, 1) if has_rows else NOT_ASKED,
    )


def rows_of_history(answer: Answer) -> list[Row]:
    """Return the rows of an answer; none where it has none."""
    values = answer.content.rows if answer.content is not None else []
    return [read_row(value, place) for place, value in enumerate(values)]
