"""What the Chats API is asked for in a check: the newest rows of one conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tap_kommo_chats.check.ask import NOT_ASKED
from tap_kommo_chats.errors import RefusedError
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
        is_named: Whether an event of the CRM tells of a message in it.
        newest: Its newest rows.
        past_the_end: What lies past its end.
        no_chat: What a conversation that does not exist is answered, where this one is
            refused, which may be its own fault.
    """

    is_known: bool = False
    is_named: bool = False
    newest: Answer = NOT_ASKED
    past_the_end: Answer = NOT_ASKED
    no_chat: Answer = NOT_ASKED

    @property
    def rows(self) -> list[Row]:
        """The newest rows."""
        return rows_of_history(self.newest)


class ChatsQuestions:
    """Asks the Chats API."""

    def __init__(self, asker: Asker, scope_id: str) -> None:
        """Ask nothing yet.

        Args:
            asker: Asks.
            scope_id: The channel connected to its account.
        """
        self._asker = asker
        self._scope_id = scope_id

    def ask(self, conversation_id: str | None, *, is_named: bool) -> ChatsAnswers:
        """Ask for a conversation, and for what its answer calls for.

        Args:
            conversation_id: The conversation; None when none is known.
            is_named: Whether an event of the CRM tells of a message in it.
        """
        is_known = conversation_id is not None
        asked = conversation_id or NO_CHAT
        newest = self._page(asked, 0, ROWS_ASKED)
        end = no_chat = NOT_ASKED
        if newest.is_good and newest.status == HTTPStatus.OK:
            end = self._page(asked, _PAST_THE_END, 1)
        elif isinstance(newest.error, RefusedError) and is_known:
            no_chat = self._page(NO_CHAT, 0, 1)
        return ChatsAnswers(is_known, is_named, newest, end, no_chat)

    def _page(self, conversation_id: str, offset: int, limit: int) -> Answer:
        path = HISTORY_PATH.format(
            scope_id=quote(self._scope_id, safe=""),
            conversation_id=quote(conversation_id, safe=""),
        )

        def read(response: requests.Response) -> History:
            return read_history(
                response,
                conversation_id,
                datetime.now(timezone.utc),
                was_accepted=False,
                asked_too_much=False,
            )

        query = urlencode({"offset": offset, "limit": limit})
        return self._asker.ask(path, query, read)


def rows_of_history(answer: Answer) -> list[Row]:
    """Return the rows of an answer; none where it has none."""
    values = answer.content.rows if answer.content is not None else []
    return [read_row(value, place) for place, value in enumerate(values)]
