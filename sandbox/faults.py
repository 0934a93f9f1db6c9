"""How the sandbox misbehaves on command, and when.

Whether a fault strikes a request is worked out from the seed, the conversation, the
offset and how often that page was asked for before, and from nothing else. So a run
meets the same faults in whatever order its requests arrive, and a request that is
sent again meets a decision of its own.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections import Counter, deque
from dataclasses import dataclass

_ANSWERS = (
    "reset_before",
    "reset_within",
    "blocked",
    "truncated",
    "cut_json",
    "too_many",
    "server_error",
    "html",
)
_SHARES = (*_ANSWERS, "trickle", "appear", "vanish")
_BOUNDS = (
    *((name, 0.0, 1.0) for name in _SHARES),
    ("latency", 0.0, math.inf),
    ("jitter", 0.0, math.inf),
    ("trickle_seconds", 0.0, math.inf),
    ("oversized", 0.0, math.inf),
    ("server_error_burst", 1.0, math.inf),
    ("requests_per_second", 1.0, math.inf),
)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong, and how often. By default nothing does.

    A share is a part of all requests, 0 to 1. The shares from ``reset_before`` to
    ``html`` exclude each other, so each is met in full and they add up to 1 at most.

    ``redirect_to``, the resets, ``blocked`` and the latency come before the request
    is verified, all else after it: a request that is not in order is refused.

    Where there is no message to answer with, an empty list takes the place of 204 if
    it is to be cut, truncated, reset within or padded, so that there is a body.

    They strike requests to the CRM too, which are counted for themselves.
    There the path with its filters takes the place of the conversation and the page
    that of the offset. Messages neither appear nor vanish with such a request.

    Attributes:
        seed: Decides, together with the request, what strikes it.
        latency: Seconds to wait before each answer.
        jitter: The most seconds to wait on top, evenly spread.
        reset_before: Share of connections reset before any byte of the answer.
        reset_within: Share of connections reset after the headers and half the body.
        truncated: Share of connections closed properly after half the body, although
            Content-Length promised all of it.
        cut_json: Share of answers that are in order as HTTP, with half the JSON.
        too_many: Share of answers with 429.
        retry_after: Seconds for the ``Retry-After`` of each 429; None for no header.
        retry_after_as_date: Give ``Retry-After`` as a date, by the server's clock
            and rounded up to its second.
        server_error: Share of requests at which answers with 502 and HTML begin.
        server_error_burst: How many requests in a row for that page then get it. The
            other answers are left out meanwhile, and a burst may begin in another.
        html: Share of answers with 200 and an HTML page.
        blocked: Share of answers with 403 and an HTML page, as of a firewall.
        trickle: Share of answers whose body goes out byte by byte.
        trickle_seconds: Seconds to wait after each such byte.
        trickle_headers: Let the headers of these answers go out byte by byte as well.
        clock_skew: Seconds the server's clock is ahead: for the dates of requests
            and in the ``Date`` of answers.
        redirect_to: Answer every request with 302 to this URL.
        appear: Share of page requests before which a message appears at the top of
            the conversation asked for. Unknown and raw conversations are left alone.
        vanish: Share of page requests before which a message vanishes from anywhere
            in the conversation asked for.
        requests_per_second: The most page requests within any second; those beyond
            get 429 and do not count.
        oversized: Bytes to pad each page to, with white space inside its JSON.
        only: The conversations to which all this applies; None for every request.
            A path of the CRM API may stand among them, and means all below it; so
            may an endpoint's, such as ``/api/v4/talks/{id}/messages``.
    """

    seed: int = 0
    latency: float = 0.0
    jitter: float = 0.0
    reset_before: float = 0.0
    reset_within: float = 0.0
    truncated: float = 0.0
    cut_json: float = 0.0
    too_many: float = 0.0
    retry_after: float | None = None
    retry_after_as_date: bool = False
    server_error: float = 0.0
    server_error_burst: int = 1
    html: float = 0.0
    blocked: float = 0.0
    trickle: float = 0.0
    trickle_seconds: float = 0.01
    trickle_headers: bool = False
    clock_skew: float = 0.0
    redirect_to: str | None = None
    appear: float = 0.0
    vanish: float = 0.0
    requests_per_second: int | None = None
    oversized: int = 0
    only: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A value is out of bounds, or the shares add up to more than 1.
        """
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not (least <= value <= most and value < math.inf):
                bounds = f"at least {least:g}" if most == math.inf else "0 to 1"
                message = f"{name} has to be {bounds}, not {value}."
                raise ValueError(message)
        # Rounded, because ten times 0.1 comes to a little less or more than 1.
        if round(sum(getattr(self, name) for name in _ANSWERS), 9) > 1:
            message = f"The shares of {', '.join(_ANSWERS)} add up to more than 1."
            raise ValueError(message)

    def apply_to(self, names: frozenset[str]) -> bool:
        """Say whether requests for what has one of these names are meant."""
        return self.only is None or not self.only.isdisjoint(names)


NO_FAULTS = Faults()


@dataclass(frozen=True)
class Strike:
    """What happens to one request.

    Attributes:
        fault: Which fault takes the place of the answer, if any.
        wait: Seconds to wait before the answer.
        trickle: Whether the answer goes out byte by byte.
        appears: The id of the message that appears before the answer, if one does.
        vanishes: Where a message vanishes before the answer, from 0 (the newest) to
            1 (past the oldest), if one does.
    """

    fault: str | None = None
    wait: float = 0.0
    trickle: bool = False
    appears: str | None = None
    vanishes: float | None = None


def strike(
    faults: Faults, conversation_id: str | None, offset: int | None, attempt: int
) -> Strike:
    """Say what happens to a request. The same arguments give the same answer.

    Args:
        faults: What goes wrong, and how often. They apply to the request: ``only`` is
            not looked at.
        conversation_id: The conversation asked for, where the path names one.
        offset: The offset asked for, where it is an integer.
        attempt: How often this offset of this conversation was asked for before.
    """
    of_page = (faults.seed, conversation_id, offset)
    burst = range(max(0, attempt - faults.server_error_burst + 1), attempt)
    if faults.server_error and any(
        _fault(faults, *of_page, earlier) == "server_error" for earlier in burst
    ):
        fault: str | None = "server_error"
    else:
        fault = _fault(faults, *of_page, attempt)
    request = (*of_page, attempt)
    return Strike(
        fault=fault,
        wait=faults.latency + faults.jitter * _draw(*request, "jitter"),
        trickle=_draw(*request, "trickle") < faults.trickle,
        appears=(
            str(uuid.UUID(bytes=_digest(*request, "message"), version=4))
            if _draw(*request, "appear") < faults.appear
            else None
        ),
        vanishes=(
            _draw(*request, "place")
            if _draw(*request, "vanish") < faults.vanish
            else None
        ),
    )


class FaultRun:
    """Keeps count of the requests that faults are held against.

    Attributes:
        faults: The faults.
    """

    def __init__(self, faults: Faults) -> None:
        """Start with no request."""
        self.faults = faults
        self._attempts: Counter[tuple[str | None, int | None]] = Counter()
        self._let_through: deque[float] = deque()

    def faults_for(self, names: frozenset[str]) -> Faults:
        """Return the faults that apply to requests for what has these names."""
        return self.faults if self.faults.apply_to(names) else NO_FAULTS

    def strike(
        self, names: frozenset[str], page: tuple[str | None, int | None]
    ) -> Strike:
        """Say what happens to the next request for a page, and count it.

        Args:
            names: What ``only`` may call it by.
            page: What faults are drawn for.
        """
        struck = strike(self.faults_for(names), *page, self._attempts[page])
        self._attempts[page] += 1
        return struck

    def is_one_too_many(self, names: frozenset[str], now: float) -> bool:
        """Say whether a page request is over the limit; if it is not, count it.

        Args:
            names: What ``only`` may call it by.
            now: The time in seconds, from any start.
        """
        most = self.faults_for(names).requests_per_second
        if most is None:
            return False
        while self._let_through and self._let_through[0] <= now - 1:
            self._let_through.popleft()
        if len(self._let_through) >= most:
            return True
        self._let_through.append(now)
        return False


def _fault(
    faults: Faults,
    seed: int,
    conversation_id: str | None,
    offset: int | None,
    attempt: int,
) -> str | None:
    """Draw the fault that takes the place of the answer."""
    left = _draw(seed, conversation_id, offset, attempt, "answer")
    for name in _ANSWERS:
        left -= getattr(faults, name)
        if left < 0:
            return name
    return None


def _draw(*of: str | int | None) -> float:
    """Return a number from 0 up to 1, evenly spread and always the same."""
    # 53 bits are what a float holds: with more, the largest would round to 1.
    return (int.from_bytes(_digest(*of)[:8], "big") >> 11) / 2**53


def _digest(*of: str | int | None) -> bytes:
    # JSON, because no two different lists of values are written alike.
    return hashlib.blake2b(json.dumps(of).encode(), digest_size=16).digest()
