"""Why no usable answer came, whatever was asked for, and what to do about it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
import urllib3
from urllib3.exceptions import NameResolutionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class MayPassError(Exception):
    """An answer is not what was asked for, and the next one may be."""


class GivenUpError(Exception):
    """What was asked for was not given, in as many attempts as it was worth.

    Attributes:
        reason: What went wrong the last time, and what to do.
    """

    def __init__(self, reason: str, attempts: int) -> None:
        """Keep the reason, and say how often it was tried."""
        super().__init__(f"{reason} (given up after {attempts} attempt(s))")
        self.reason = reason


class NoAnswerError(GivenUpError):
    """It was given up because no answer came.

    Attributes:
        is_lasting: Whether the host never answered, for a reason that does not go away
            by itself.
    """

    def __init__(self, reason: str, attempts: int, *, is_lasting: bool) -> None:
        """Keep the reason, and say how often it was tried."""
        super().__init__(reason, attempts)
        self.is_lasting = is_lasting


class OversizedError(requests.RequestException):
    """An answer was larger than any page can be."""


def unreachable(
    error: Exception, url: str, setting: str, proxy_variable: str | None
) -> str:
    """Tell why no answer came.

    Args:
        error: What `requests` raised.
        url: Where the request went.
        setting: The setting that says so.
        proxy_variable: The environment variable that names the proxy it went through;
            None for none.

    Returns:
        One line with the host or the proxy, the cause and what to do.
    """
    found = list(causes(error))
    where, remedy = url, setting
    if proxy_variable is not None:
        where = f"{url}, asked through the proxy that {proxy_variable} names,"
        if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in found):
            where, remedy = f"The proxy that {proxy_variable} names", proxy_variable
            if (status := _tunnel_status(found)) is not None:
                advice = _NO_TUNNEL.get(
                    status, "check {}, or put the host into NO_PROXY"
                )
                return f"{where} answers {status}: {advice.format(remedy)}"
    for kinds, advice in _UNREACHABLE:
        if any(isinstance(cause, kinds) for cause in found):
            return f"{where} {advice.format(remedy)}"
    return f"{where} broke the connection off: check the network"


def will_not_pass(error: Exception) -> bool:
    """Tell whether `requests` failed for a reason that does not go away by itself."""
    lasting = (
        NameResolutionError,
        ConnectionRefusedError,
        requests.exceptions.SSLError,
        urllib3.exceptions.SSLError,
    )
    found = list(causes(error))
    status = _tunnel_status(found)
    return any(isinstance(cause, lasting) for cause in found) or (
        status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR
    )


_DISTRUSTED = (
    "cannot be trusted, TLS failed: check {}, this machine's clock and CAs, or name "
    "the CA of a proxy that signs anew in REQUESTS_CA_BUNDLE"
)

_UNREACHABLE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((NameResolutionError,), "cannot be resolved to an address: check {} and DNS"),
    (
        (requests.exceptions.SSLError, urllib3.exceptions.SSLError),
        _DISTRUSTED,
    ),
    ((OversizedError,), "gave an answer larger than any page can be: check {}"),
    ((ConnectionRefusedError,), "refuses connections: check {}"),
    (
        (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError),
        "does not answer in time: check the network, or raise request_timeout",
    ),
)


_NO_TUNNEL: dict[int, str] = {
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "write a user and a password into {}",
}


def _tunnel_status(found: Iterable[BaseException]) -> int | None:
    """Return what a proxy answered that was asked for a way to a host; None if none."""
    for cause in found:
        # The standard library gives it in words only.
        if type(cause) is OSError and (
            status := re.match(r"Tunnel connection failed: (\d{3})\b", str(cause))
        ):
            return int(status[1])
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Go through what caused an error, however the libraries wrapped it."""
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        error = (
            inner
            if isinstance(inner, BaseException)
            else error.__cause__ or error.__context__
        )
