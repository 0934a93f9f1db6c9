"""The streams, as the SDK asks for them."""

from __future__ import annotations

from functools import cached_property
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from singer_sdk.exceptions import FatalAPIError, RetriableAPIError, SyncError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.streams import RESTStream
from singer_sdk.streams.rest import HTTPRequest, PageContext

from tap_kommo_chats.answers import decode_history, describe_error
from tap_kommo_chats.auth import KommoAuthenticator
from tap_kommo_chats.messages import SCHEMA, Record, read_row, to_record
from tap_kommo_chats.pagination import PAGE_SIZE, HistoryPage, HistoryPaginator

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests
    from singer_sdk.helpers.types import Context

    from tap_kommo_chats.messages import Row
    from tap_kommo_chats.settings import Settings
    from tap_kommo_chats.tap import TapKommoChats


class IncompleteRunError(SyncError):
    """Everything that could be delivered was, and something could not."""


class ChatHistoryStream(RESTStream[int]):
    """The messages of every conversation, one record each."""

    name = "chat_history"
    path = "/v2/origin/custom/{scope_id}/chats/{conversation_id}/history"
    primary_keys = ("conversation_id", "message_id")
    replication_key = "sent_at"
    schema: ClassVar[dict[str, Any]] = SCHEMA

    # A redirect would carry the signed headers to another host.
    allow_redirects = False
    # `to_record` sees to it that a record fits the schema.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapKommoChats) -> None:
        """Make the stream.

        Args:
            tap: The tap it belongs to, whose settings it reads when it runs.
        """
        super().__init__(tap=tap)
        self._kommo_tap = tap
        self._conversation_id = ""
        self._paginator = HistoryPaginator()
        self._rows_without_key = 0

    @property
    def settings(self) -> Settings:
        """The tap's checked settings."""
        return self._kommo_tap.settings

    # What is asked of Kommo

    @property
    def url_base(self) -> str:
        """Scheme and host of the Chats API."""
        return self.settings.api_url

    @cached_property
    def authenticator(self) -> KommoAuthenticator:
        """Signs each attempt of each request."""
        return KommoAuthenticator(self.settings.channel_secret)

    @property
    def timeout(self) -> int:
        """Seconds to wait for the server to connect or to send something."""
        return self.settings.request_timeout

    @cached_property
    def user_agent(self) -> str:
        """How the tap presents itself."""
        return f"{self.tap_name}/{version(self.tap_name)}"

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

    def get_new_paginator(self) -> HistoryPaginator:
        """Start a walk through the conversation at hand.

        Returns:
            A paginator at the newest message.
        """
        self._paginator = HistoryPaginator(cutoff_ms=self.settings.start_ms)
        return self._paginator

    # What Kommo answers

    def validate_response(self, response: requests.Response) -> None:
        """Let through what is an answer, and say what to do about what is not.

        Args:
            response: Kommo's answer.

        Raises:
            RetriableAPIError: For 429 and 5xx, which may pass.
            FatalAPIError: For all else but 200 and 204.
        """
        status = response.status_code
        if status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            return
        message = self.response_error_message(response)
        if (
            status in self.extra_retry_statuses
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            raise RetriableAPIError(message, response)
        raise FatalAPIError(message)

    def response_error_message(self, response: requests.Response) -> str:
        """Tell an operator what an error answer means.

        Args:
            response: An answer that is neither 200 nor 204.

        Returns:
            One line without secrets and without the texts of messages.
        """
        return describe_error(response, self._conversation_id)

    def parse_response(  # type: ignore[override]
        self,
        response: requests.Response,
    ) -> Iterable[HistoryPage]:
        """Read an answer as one page.

        The SDK's paging loop passes on whatever this yields; `get_records` takes
        pages apart.

        Args:
            response: A 200 or a 204.

        Yields:
            The page, also when it brings nothing new.

        Raises:
            FatalAPIError: If the body is not what was promised, or the pages cannot
                be put together.
        """
        offset = self._paginator.current_value
        try:
            values = decode_history(response)
            yield self._paginator.accept(
                [read_row(value, offset + place) for place, value in enumerate(values)],
            )
        except FatalAPIError as error:
            msg = f"Conversation {self._conversation_id}: {error}"
            raise FatalAPIError(msg) from None

    # What the SDK emits

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Read every conversation.

        Args:
            context: Not used: the stream has no partitions, because the SDK's cost
                grows with the square of their number.

        Yields:
            One record per message.
        """
        for conversation_id in self.settings.conversation_ids:
            for page in self._read_conversation(conversation_id):
                yield from self._to_records(page.rows, conversation_id)

    def _read_conversation(self, conversation_id: str) -> Iterable[HistoryPage]:
        self._conversation_id = conversation_id
        warned = False
        for page in self.request_records({"conversation_id": conversation_id}):
            history = cast("HistoryPage", page)
            if not (history.newest_first or warned):
                warned = True
                self.logger.warning(
                    "Conversation %s does not come newest first: it is read to its end",
                    conversation_id,
                )
            yield history

    def _to_records(
        self,
        rows: Iterable[Row],
        conversation_id: str,
    ) -> Iterable[Record]:
        settings = self.settings
        for row in rows:
            if row.flaw is not None:
                self._rows_without_key += 1
                self.logger.error(
                    "Conversation %s: the row at position %d has %s and was not "
                    "delivered",
                    conversation_id,
                    row.position,
                    row.flaw,
                )
            elif settings.start_ms is None or (row.sent_ms or 0) >= settings.start_ms:
                yield to_record(row, settings.scope_id, conversation_id)

    def log_sync_costs(self) -> None:
        """Close the stream's run: the last the SDK asks of it, after the last STATE.

        Raises:
            IncompleteRunError: If rows could not be delivered, so that the run ends
                non-zero after everything else was.
        """
        super().log_sync_costs()
        if self._rows_without_key:
            msg = (
                f"{self._rows_without_key} row(s) have no message id or no usable "
                "timestamp and were not delivered, everything else was: the lines "
                "above name them, ask Kommo's support about them"
            )
            raise IncompleteRunError(msg)

    # The SDK keeps one time for the whole stream, which says nothing about a single
    # conversation, so it is kept out of the state.

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Set no upper bound for a bookmark the stream does not keep."""

    def _write_starting_replication_value(self, context: Context | None) -> None:
        pass

    def _increment_stream_state(
        self,
        latest_record: Record,
        *,
        context: Context | None = None,
    ) -> None:
        pass
