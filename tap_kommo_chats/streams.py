"""The streams, as the SDK asks for them."""

from __future__ import annotations

import sys
import time
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

import requests
from singer_sdk import metrics
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError, SyncError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from singer_sdk.streams import RESTStream
from singer_sdk.streams.rest import HTTPRequest, PageContext

from tap_kommo_chats.answers import (
    decode_history,
    describe_error,
    is_too_many,
    retry_after_seconds,
)
from tap_kommo_chats.auth import KommoAuthenticator
from tap_kommo_chats.bookmarks import Bookmarks, StatePace
from tap_kommo_chats.limiter import RequestLimiter
from tap_kommo_chats.messages import SCHEMA, Record, read_row, to_record
from tap_kommo_chats.pagination import PAGE_SIZE, HistoryPage, HistoryPaginator
from tap_kommo_chats.reader import End, Failure, Part, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from singer_sdk.helpers.types import Context, RequestFunc

    from tap_kommo_chats.messages import Row
    from tap_kommo_chats.settings import Settings
    from tap_kommo_chats.tap import TapKommoChats


class IncompleteRunError(SyncError):
    """Everything that could be delivered was, and something could not."""


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


class _SilentCounter(metrics.Counter):
    """Stands in for a counter that would log one line per conversation."""

    def increment(self, value: int = 1) -> None:
        pass

    def exit(self) -> None:
        pass


class ChatHistoryStream(RESTStream[int]):
    """The messages of every conversation, one record each."""

    name = "chat_history"
    path = "/v2/origin/custom/{scope_id}/chats/{conversation_id}/history"
    primary_keys = ("conversation_id", "message_id")
    replication_key = "sent_at"
    schema: ClassVar[dict[str, Any]] = SCHEMA

    # A redirect would carry the signed headers to another host.
    allow_redirects = False
    # STATE goes out by time, between conversations.
    STATE_MSG_FREQUENCY = sys.maxsize
    # `to_record` sees to it that a record fits the schema.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    # One line per request is too many for a log.
    _LOG_REQUEST_METRICS = False

    _limiter: RequestLimiter

    def __init__(self, tap: TapKommoChats) -> None:
        """Make the stream.

        Args:
            tap: The tap it belongs to, whose settings it reads when it runs.
        """
        super().__init__(tap=tap)
        self._kommo_tap = tap
        self._to_read = ToRead("", None)
        self._paginator = HistoryPaginator()
        self._rows_without_key = 0
        self._pace = StatePace()

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
        self._paginator = HistoryPaginator(self._to_read.since_ms)
        return self._paginator

    def request_decorator(self, func: RequestFunc) -> RequestFunc:
        """Let each attempt of a request wait for its turn before it is signed.

        Args:
            func: Signs, sends and checks one attempt.

        Returns:
            The same with turns and the SDK's retries.
        """

        def in_turn(
            prepared_request: requests.PreparedRequest, context: Context | None
        ) -> requests.Response:
            with self._limiter.turn() as slow_down:
                try:
                    return func(prepared_request, context)
                except RetriableAPIError as error:
                    seconds = retry_after_seconds(error.response)
                    if seconds is not None or is_too_many(error.response):
                        slow_down(seconds)
                    raise

        return super().request_decorator(in_turn)

    def get_http_request_counter(self) -> metrics.Counter:
        """Count nothing for a single conversation; `get_records` counts for all.

        Returns:
            A counter that neither counts nor logs.
        """
        return _SilentCounter(metrics.Metric.HTTP_REQUEST_COUNT)

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
        return describe_error(response, self._to_read.conversation_id)

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
            msg = f"Conversation {self._to_read.conversation_id}: {error}"
            raise FatalAPIError(msg) from None

    # What the SDK emits

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
            SyncError: If a conversation cannot be read.
        """
        start_ms = self._kommo_tap.initialized_at
        bookmarks = Bookmarks(self.stream_state)
        newest_ms: dict[str, int] = {}
        # Before any worker is made, so that all share it.
        self._limiter = RequestLimiter(self.settings.requests_per_second)
        events = read_all(
            self._conversations(bookmarks),
            self._new_worker,
            self.settings.max_concurrency,
        )
        try:
            with metrics.http_request_counter(self.name, self.path) as requests_made:
                for event in events:
                    conversation_id = event.conversation.conversation_id
                    if isinstance(event, Part):
                        requests_made.increment()
                        rows = event.content.rows
                        newest_ms[conversation_id] = max(
                            newest_ms.get(conversation_id, 0),
                            *(row.sent_ms or 0 for row in rows),
                            0,
                        )
                        yield from self._to_records(rows, event.conversation)
                    elif isinstance(event, End):
                        bookmarks.advance(
                            conversation_id, newest_ms.pop(conversation_id), start_ms
                        )
                        self._write_state_when_due(bookmarks)
                    else:
                        self._write_state()
                        raise self._failure(event) from event.error
            bookmarks.complete(start_ms)
        finally:
            self._limiter.stop()
            events.close()

    def _conversations(self, bookmarks: Bookmarks) -> Iterable[ToRead]:
        settings = self.settings
        read_all_again = self.replication_method == REPLICATION_FULL_TABLE
        for conversation_id in settings.conversation_ids:
            cutoff_ms = bookmarks.cutoff_ms(conversation_id, settings.lookback_ms)
            if cutoff_ms is None or read_all_again:
                yield ToRead(conversation_id, settings.start_ms)
            else:
                since_ms = max(cutoff_ms + 1, settings.start_ms or 0)
                yield ToRead(conversation_id, since_ms)

    def _new_worker(self) -> Callable[[ToRead], Iterable[HistoryPage]]:
        """Make a reader of one conversation after the other.

        The SDK's paging loop finds paginator and session in the stream, so each
        worker has a stream of its own.
        """
        worker = copy(self)
        worker._requests_session = requests.Session()  # noqa: SLF001 (its own copy)
        return worker._read_conversation  # noqa: SLF001 (its own copy)

    def _read_conversation(self, to_read: ToRead) -> Iterable[HistoryPage]:
        self._to_read = to_read
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

    def _to_records(self, rows: Iterable[Row], to_read: ToRead) -> Iterable[Record]:
        scope_id = self.settings.scope_id
        for row in rows:
            if row.flaw is not None:
                self._rows_without_key += 1
                self.logger.error(
                    "Conversation %s: the row at position %d has %s and was not "
                    "delivered",
                    to_read.conversation_id,
                    row.position,
                    row.flaw,
                )
            elif to_read.since_ms is None or (row.sent_ms or 0) >= to_read.since_ms:
                yield to_record(row, scope_id, to_read.conversation_id)

    def _failure(self, failure: Failure[ToRead]) -> Exception:
        """Make of a worker's exception one that names the conversation."""
        conversation_id = failure.conversation.conversation_id
        if isinstance(failure.error, SyncError):
            return failure.error
        if isinstance(failure.error, requests.RequestException):
            return FatalAPIError(
                f"Conversation {conversation_id}: Kommo cannot be reached "
                f"({type(failure.error).__name__}): check api_url and the network"
            )
        return RuntimeError(f"Conversation {conversation_id} could not be read")

    def _write_state_when_due(self, bookmarks: Bookmarks) -> None:
        if self._pace.due():
            started = time.monotonic()
            self._write_state()
            self._pace.wrote(time.monotonic() - started, bookmarks.size_bytes)

    def _write_state(self) -> None:
        self._kommo_tap.state_writer.write_state(self.tap_state)

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

    # What the SDK would do for a stream that has one time as its bookmark.

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Set no upper bound for a bookmark that the stream does not keep."""

    def generate_child_contexts(
        self,
        record: Record,  # noqa: ARG002 (the SDK's)
        context: Context | None,  # noqa: ARG002 (the SDK's)
    ) -> Iterable[Context | None]:
        """Make no context for each record: the stream has no children.

        Args:
            record: Not looked at.
            context: Not looked at.

        Returns:
            Nothing.
        """
        return ()

    def _write_starting_replication_value(self, context: Context | None) -> None:
        pass

    def _increment_stream_state(
        self,
        latest_record: Record,
        *,
        context: Context | None = None,
    ) -> None:
        pass
