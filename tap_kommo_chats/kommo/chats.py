"""The Chats API: the history of one conversation of one's own channel."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tap_kommo_chats.errors import (
    ConversationError,
    RunError,
    SilentError,
    UnreachableError,
)
from tap_kommo_chats.kommo.auth import KommoAuthenticator
from tap_kommo_chats.kommo.connection import Connection
from tap_kommo_chats.kommo.failures import GivenUpError, NoAnswerError
from tap_kommo_chats.kommo.history import read_history
from tap_kommo_chats.kommo.pagination import (
    PAGE_SIZE,
    EmptiedError,
    HistoryPage,
    HistoryPaginator,
    PagingError,
)
from tap_kommo_chats.kommo.route import route_to
from tap_kommo_chats.records.messages import read_row
from tap_kommo_chats.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from tap_kommo_chats.kommo.history import History
    from tap_kommo_chats.kommo.host import Host

HISTORY_PATH = "/v2/origin/custom/{scope_id}/chats/{conversation_id}/history"

logger = logging.getLogger("tap-kommo-chats.chat_history")


class ChatsApi:
    """Reads conversations of one scope. For any number of threads."""

    def __init__(
        self, host: Host, scope_id: Callable[[], str], channel_secret: str
    ) -> None:
        """Say where to ask; nothing is asked yet.

        Args:
            host: The Chats API's.
            scope_id: Tells the channel connected to its account, once something is
                asked.
            channel_secret: The channel's secret, which signs each request.
        """
        self._host = host
        self._scope_id = scope_id
        self._teller = Teller(logger)
        self._connection = Connection(
            host,
            route_to(host.url),
            "application/json",
            KommoAuthenticator(channel_secret),
        )

    def history(
        self,
        conversation_id: str,
        since_ms: int | None,
        *,
        expects_messages: bool = False,
    ) -> Iterator[HistoryPage]:
        """Read a conversation, newest message first.

        Args:
            conversation_id: Kommo's id of it.
            since_ms: Messages sent before this are not needed, in milliseconds since
                1970; None for all. The pages may hold some.
            expects_messages: Whether it is known to have messages, so that an answer
                that it has none is asked for once more.

        Yields:
            A page for each answer, also when it brings nothing new. Each is to be given
            to `release` once its rows are not needed any more.

        Raises:
            SilentError: If it had messages, and then none, in this reading.
            ConversationError: If this conversation cannot be read.
            RunError: If none can. No further request goes to the host then.
        """
        paginator = HistoryPaginator(since_ms)
        was_newest_first = True
        while not paginator.finished:
            page = self._page(conversation_id, paginator)
            if page.is_empty and expects_messages:
                page = self._page(conversation_id, paginator)
            if was_newest_first and not page.newest_first:
                self._teller.tell(
                    "conversations that do not come newest first",
                    f"Conversation {conversation_id} does not come newest first: it is "
                    "read to its end",
                    logging.WARNING,
                )
            was_newest_first = page.newest_first
            yield page
            # It may be large, and the next one is asked for.
            del page
            paginator.advance()

    def sum_up(self) -> None:
        """Say of how many oddities the log has no line."""
        self._teller.sum_up()

    def release(self, page: HistoryPage) -> None:
        """Make room for the next large page if this is one. For any thread."""
        if page.is_large:
            self._host.room.leave()

    def _page(self, conversation_id: str, paginator: HistoryPaginator) -> HistoryPage:
        path = HISTORY_PATH.format(
            scope_id=quote(self._scope_id(), safe=""),
            conversation_id=quote(conversation_id, safe=""),
        )
        offset = paginator.current_value
        query = urlencode({"offset": offset, "limit": PAGE_SIZE})

        def read(response: requests.Response) -> HistoryPage:
            with self._host.room.taken_for(response.content) as is_large:
                history = read_history(
                    response,
                    conversation_id,
                    datetime.now(timezone.utc),
                    was_accepted=self._host.has_accepted,
                    asked_too_much=self._host.has_refused,
                )
                self._host.has_accepted = True
                page = self._put_together(history, conversation_id, paginator)
                return replace(page, is_large=True) if is_large else page

        try:
            return self._connection.get(path, query, read)
        except GivenUpError as error:
            failure = self._failure(error, conversation_id)
        except RunError as error:
            failure = error
        if isinstance(failure, RunError):
            # No other thread may send one more request.
            self._host.stop()
        raise failure

    def _put_together(
        self, history: History, conversation_id: str, paginator: HistoryPaginator
    ) -> HistoryPage:
        """Add the rows of an answer to those before."""
        if history.mended:
            self._teller.tell(
                "answers that had halves of surrogate pairs",
                f"Conversation {conversation_id}: an answer had halves of surrogate "
                "pairs, which were replaced by U+FFFD",
                logging.WARNING,
            )
        first = paginator.current_value
        rows = [read_row(row, first + n) for n, row in enumerate(history.rows)]
        try:
            return paginator.accept(rows)
        except EmptiedError as error:
            msg = f"Conversation {conversation_id}: {error}"
            raise SilentError(msg) from None
        except PagingError as error:
            msg = f"Conversation {conversation_id}: {error}; tell Kommo's support"
            raise ConversationError(msg) from None

    def _failure(
        self, error: GivenUpError, conversation_id: str
    ) -> ConversationError | RunError:
        """Say whose failure it is that nothing usable came."""
        message = f"Conversation {conversation_id}: {error}"
        if not isinstance(error, NoAnswerError):
            return ConversationError(message)
        if error.is_lasting:
            return RunError(error.reason)
        return (
            UnreachableError(message) if self._host.has_answered else RunError(message)
        )
