"""Asking Kommo's Chats API, for whatever stream: signed, in turn, and again if need be.

A failure is one conversation's (`ConversationError`) or everyone's (`RunError`); what
may pass is tried again by the SDK before it is either.
"""

from __future__ import annotations

import time
from copy import copy
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import backoff
import requests
from singer_sdk import metrics
from singer_sdk.exceptions import RetriableAPIError
from singer_sdk.streams import RESTStream

from tap_kommo_chats.errors import ConversationError, RunError, UnreachableError
from tap_kommo_chats.kommo.answers import (
    check_status,
    decode_history,
    is_too_many,
    retry_after_seconds,
    unreachable,
    will_not_pass,
)
from tap_kommo_chats.kommo.auth import KommoAuthenticator
from tap_kommo_chats.kommo.transport import new_session

if TYPE_CHECKING:
    from collections.abc import Generator

    from backoff.types import Details
    from singer_sdk.helpers.types import Context, RequestFunc
    from typing_extensions import Self

    from tap_kommo_chats.kommo.limiter import RequestLimiter
    from tap_kommo_chats.settings import Settings
    from tap_kommo_chats.tap import TapKommoChats

ATTEMPTS = 6
"""How often a page is asked for before its conversation has failed."""

PAGE_SECONDS = 900.0
"""How long one page may take with all its attempts, pauses included."""

_LONGEST_WAIT = 30.0


class _SilentCounter(metrics.Counter):
    """Stands in for a counter that would log one line per conversation."""

    def increment(self, value: int = 1) -> None:
        pass

    def exit(self) -> None:
        pass


class RunHealth:
    """What the workers of one run learn about the server, shared by all of them."""

    def __init__(self) -> None:
        """Start with nothing learned."""
        self.answered = False
        self.too_many = False


class ChatsAPIStream(RESTStream[int]):
    """A stream that reads conversations from the Chats API.

    A stream that reads must have `limiter` set. Workers are copies of it, which share
    limiter and health and have the rest for themselves.
    """

    # A redirect would carry the signed headers to another host.
    allow_redirects = False
    # One line per request is too many for a log.
    _LOG_REQUEST_METRICS = False

    limiter: RequestLimiter

    def __init__(self, tap: TapKommoChats) -> None:
        """Make the stream.

        Args:
            tap: The tap it belongs to, whose settings it reads when it runs.
        """
        super().__init__(tap=tap)
        self.kommo_tap = tap
        self.health = RunHealth()
        self.conversation_id = ""
        self.rows: list[Any] = []
        self._attempts = 0

    @property
    def settings(self) -> Settings:
        """The tap's checked settings."""
        return self.kommo_tap.settings

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

    def new_worker(self) -> Self:
        """Make a copy for a thread of its own.

        The SDK's paging loop finds paginator and session in the stream, so threads
        cannot share one.

        Returns:
            The copy.
        """
        worker = copy(self)
        worker._requests_session = new_session(self.url_base)  # noqa: SLF001 (its own copy)
        return worker

    def request_decorator(self, func: RequestFunc) -> RequestFunc:
        """Ask for a page until it is there or the conversation has failed.

        Args:
            func: The SDK's: signs, sends and validates one attempt.

        Returns:
            What asks in turn, again if need be, and fails with `ConversationError` or
            `RunError`.
        """

        def attempt(
            prepared_request: requests.PreparedRequest, context: Context | None
        ) -> requests.Response:
            return self._attempt(func, prepared_request, context)

        ask_again = super().request_decorator(attempt)

        def ask(
            prepared_request: requests.PreparedRequest, context: Context | None
        ) -> requests.Response:
            self._attempts = 0
            self._asking_since = time.monotonic()
            try:
                return ask_again(prepared_request, context)
            except RunError:
                # No other worker may send one more request.
                self.limiter.stop()
                raise
            except (RetriableAPIError, requests.RequestException) as error:
                failure = self._given_up(error)
                if isinstance(failure, RunError):
                    self.limiter.stop()
                raise failure from None

        return ask

    def _attempt(
        self,
        func: RequestFunc,
        prepared_request: requests.PreparedRequest,
        context: Context | None,
    ) -> requests.Response:
        with self.limiter.turn() as slow_down:
            self._attempts += 1
            try:
                response = func(prepared_request, context)
                history = decode_history(response, self.conversation_id)
            except RetriableAPIError as error:
                seconds = retry_after_seconds(error.response)
                if is_too_many(error.response):
                    self.health.too_many = True
                    slow_down(seconds)
                elif seconds is not None:
                    slow_down(seconds)
                if time.monotonic() - self._asking_since > PAGE_SECONDS:
                    raise self._given_up(error) from None
                raise
            except (requests.ConnectionError, requests.Timeout) as error:
                if not self.health.answered and will_not_pass(error):
                    raise RunError(unreachable(error, self.url_base)) from None
                raise
            self.rows = history.rows
            if history.mended:
                self.logger.warning(
                    "Conversation %s: an answer had halves of surrogate pairs, which "
                    "were replaced by U+FFFD",
                    self.conversation_id,
                )
            return response

    def _given_up(self, error: Exception) -> ConversationError | RunError:
        what = (
            str(error)
            if isinstance(error, RetriableAPIError)
            else f"Conversation {self.conversation_id}: "
            f"{unreachable(error, self.url_base)}"
        )
        message = f"{what} (given up after {self._attempts} attempt(s))"
        if isinstance(error, requests.ConnectionError | requests.Timeout):
            kind = UnreachableError if self.health.answered else RunError
            return kind(message)
        return ConversationError(message)

    def validate_response(self, response: requests.Response) -> None:
        """Let through what is an answer, and say what to do about what is not.

        Args:
            response: Kommo's answer.

        Raises:
            RetriableAPIError: For 429 and 5xx, which may pass.
            ConversationError: For what is wrong with this conversation.
            RunError: For what is wrong with all of them.
        """
        self.health.answered = True
        check_status(
            response,
            self.conversation_id,
            datetime.now(timezone.utc),
            asked_too_much=self.health.too_many,
        )

    def get_http_request_counter(self) -> metrics.Counter:
        """Count nothing for a single conversation.

        Returns:
            A counter that neither counts nor logs.
        """
        return _SilentCounter(metrics.Metric.HTTP_REQUEST_COUNT)

    # How the SDK waits before it tries again

    def backoff_max_tries(self) -> int:
        """How often a page is asked for.

        Returns:
            The number of attempts, the first included.
        """
        return ATTEMPTS

    def backoff_wait_generator(self) -> Generator[float, None, None]:
        """How long to wait before each further attempt.

        Returns:
            Seconds, doubled each time.
        """
        return backoff.expo(max_value=_LONGEST_WAIT)

    def backoff_jitter(self, value: float) -> float:
        """Spread the waits of workers that failed together.

        Args:
            value: Seconds to wait at most.

        Returns:
            Seconds to wait.
        """
        return backoff.full_jitter(value)

    def backoff_handler(self, details: Details) -> None:
        """Log nothing: the SDK's retries have their own line.

        Args:
            details: Not looked at.
        """
