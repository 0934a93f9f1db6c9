"""Asking a host: in turn, and again if need be."""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import backoff
import requests

from tap_kommo_chats.kommo import host as rules
from tap_kommo_chats.kommo.answers import retry_after_seconds
from tap_kommo_chats.kommo.failures import (
    GivenUpError,
    MayPassError,
    NoAnswerError,
    unreachable,
    will_not_pass,
)
from tap_kommo_chats.kommo.transport import new_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from backoff.types import Details
    from requests.auth import AuthBase

    from tap_kommo_chats.kommo.host import Host
    from tap_kommo_chats.kommo.route import Route

T = TypeVar("T")

_SENT_AGAIN = "requests that were sent again"

_MAY_PASS = (
    MayPassError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class Connection(threading.local):
    """A connection to a host: each thread that uses it has a session of its own."""

    def __init__(self, host: Host, route: Route, accept: str, auth: AuthBase) -> None:
        """Open nothing yet. Called anew in each thread, with the same arguments.

        Args:
            host: Where to ask.
            route: Which way requests go there.
            accept: The `Accept` header.
            auth: Is put to each attempt, so that each is signed afresh.
        """
        self._host = host
        self._proxy_variable = route.proxy_variable
        self._session = new_session(route)
        self._session.headers.update({"Accept": accept, "User-Agent": host.user_agent})
        self._session.auth = auth
        self._attempts = 0

    def get(self, path: str, query: str, read: Callable[[requests.Response], T]) -> T:
        """Ask for something until it is there, or not worth asking for any more.

        Args:
            path: The path, encoded.
            query: The query, encoded.
            read: Takes what is wanted out of an answer. It is part of the attempt:
                when it raises `MayPassError`, as for a body that was cut, the next one
                follows. Whatever else it raises is raised.

        Returns:
            What `read` returned.

        Raises:
            NoAnswerError: If no answer came.
            GivenUpError: If no answer can be used.
            LimiterStoppedError: If the run is ending.
        """
        host = self._host
        self._attempts = 0
        ask = backoff.on_exception(
            backoff.expo,
            _MAY_PASS,
            max_tries=host.attempts or rules.ATTEMPTS,
            max_time=rules.ASKING_SECONDS,
            giveup=lambda error: not host.has_answered and will_not_pass(error),
            max_value=rules.LONGEST_WAIT,
            jitter=backoff.full_jitter,
            on_backoff=self._tell,
            logger=None,
        )(self._ask)
        try:
            return ask(path, query, read)
        except MayPassError as error:
            raise GivenUpError(str(error), self._attempts) from None
        except requests.RequestException as error:
            reason = unreachable(error, host.url, host.setting, self._proxy_variable)
            if not isinstance(error, requests.ConnectionError | requests.Timeout):
                raise GivenUpError(reason, self._attempts) from None
            raise NoAnswerError(
                reason,
                self._attempts,
                is_lasting=not host.has_answered and will_not_pass(error),
            ) from None

    def _tell(self, failed: Details) -> None:
        """Say in a line that something is asked for again.

        Args:
            failed: What `backoff` knows of the attempt that failed.
        """
        host, error = self._host, failed["exception"]
        reason = (
            str(error)
            if isinstance(error, MayPassError)
            else unreachable(error, host.url, host.setting, self._proxy_variable)
        )
        most, wait = host.attempts or rules.ATTEMPTS, failed["wait"]
        attempt = f"attempt {failed['tries']} of {most}, next in {wait:.1f} s"
        # What follows says what to do when it is given up.
        line = f"{reason.partition('; ')[0]} ({attempt})"
        host.retries.tell(_SENT_AGAIN, line, logging.INFO)

    def _ask(self, path: str, query: str, read: Callable[[requests.Response], T]) -> T:
        host = self._host
        host.on_request()
        with host.limiter.turn() as turn:
            self._attempts += 1
            response = self._session.get(
                f"{host.url}{path}{'?' if query else ''}{query}",
                timeout=host.timeout,
                # A redirect would carry signature or token to another host.
                allow_redirects=False,
            )
            host.has_answered = True
            seconds = retry_after_seconds(response)
            if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                host.has_refused = True
                turn.refuse(seconds)
            elif seconds is not None:
                turn.pause(seconds)
        return read(response)
