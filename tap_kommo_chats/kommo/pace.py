"""When the next request may go, reckoned as the server counts. It is told the time.

Libraries for rate limits count requests as they leave. The server counts them as they
arrive, and what left evenly may arrive bunched: one request is held up, by a slow
handshake or by a busy network, and the ones behind it catch up. Kommo blocks addresses
that ask too much, so this pace reckons with the latest moment at which a request can
have arrived. That moment is known when the answer is there: the answer took longer than
the quickest one did, and at most all of that was lost on the way out. Where answers
take longer than a second, the next request goes before that is known.

From the first refusal on, requests leave evenly and no longer in bursts.
"""

from __future__ import annotations

from collections import deque
from math import ceil, inf

from tap_kommo_chats.kommo.rate import JUDGED_BY, SECOND, Excess, Rate, Sent

RETRY_AFTER_AT_MOST = 300.0
"""Seconds. A server that asks for a longer pause gets this one."""

_QUICKEST_OF = 50
"""How many of the last answers the quickest one is taken from."""

_ENOUGH_ANSWERS = 7
"""With fewer than these the quickest answer says too little."""

_ON_ITS_WAY_AT_MOST = 5.0
"""Seconds after which a request has reached the server, if it ever does."""

_LEAST = 0.5
"""Requests per second."""

_LEAST_WITHOUT_LIMIT = 5.0
"""The same where the operator wants no limit: below the seven that Kommo documents."""

_DOUBLED_AT_MOST = 4
"""How often the pause is doubled of a server that lets nothing through: 16 seconds."""


class RequestPace:
    """Says when the next request may go. All times are in seconds from one origin."""

    def __init__(self, requests_per_second: int) -> None:
        """Start with nothing sent.

        Args:
            requests_per_second: How many requests may reach the server in any second;
                0 for no limit, until the server refuses one.
        """
        least = _LEAST if requests_per_second else _LEAST_WITHOUT_LIMIT
        self._rate = Rate(requests_per_second or inf, least)
        self._sent: deque[Sent] = deque()
        self._round_trips: deque[float] = deque(maxlen=_QUICKEST_OF)
        self._got_through = self._in_vain = 0
        self._excess = Excess(inf, ())
        self._slowed_at = self._paused_at = self._paused_until = -inf

    def seconds_to_go(self, now: float) -> float:
        """Tell how long the next request has to wait, if nothing is answered before.

        Args:
            now: The current time.

        Returns:
            Seconds, 0 or less when it may go.
        """
        until = self._paused_until
        rate = self._rate.per_second
        if self._rate.is_sought:
            until = max(until, self._sent[-1].at + 1 / rate)
        if rate < inf:
            # The first ones double, so that an excess is about what got through.
            most = min(ceil(rate), 2 * self._got_through + 1)
            if most <= len(self._sent):
                until = max(until, self._arrivals(now)[-most] + SECOND)
        return until - now

    def send(self, now: float, *, cold: bool) -> Sent:
        """Note that a request goes.

        Args:
            now: The current time.
            cold: Whether it has to open a connection first.

        Returns:
            What to hand to `answer` and `refuse`.
        """
        sent = Sent(now, cold)
        self._sent.append(sent)
        needed = _ON_ITS_WAY_AT_MOST + SECOND + JUDGED_BY / self._rate.per_second
        while self._sent[0].at < now - needed:
            self._sent.popleft()
        return sent

    def answer(self, sent: Sent, now: float, *, has_failed: bool = False) -> None:
        """Note that a request is over.

        Args:
            sent: The request. If it was too much, `refuse` was told before.
            now: The current time.
            has_failed: Whether no answer came.
        """
        sent.answered = now
        if not sent.cold:
            self._round_trips.append(now - sent.at)
        if has_failed or sent.refused:
            return
        self._got_through += 1
        if sent.at > self._slowed_at:
            self._in_vain = 0
            self._rate.rise()

    def refuse(self, sent: Sent, now: float, seconds: float | None) -> None:
        """Note that the server asks for fewer requests: all go slower, or pause.

        Args:
            sent: The request it said so to.
            now: The current time.
            seconds: For how long it asks to pause; None when it does not say.
        """
        sent.refused = True
        # Several requests on their way are refused for one and the same excess.
        if sent.at > self._slowed_at:
            self._slowed_at = now
            self._in_vain += 1
            self._excess = self._look_back()
        self._rate.fall(self._excess)
        if seconds is None and not self._excess.got_through:
            seconds = SECOND * 2 ** min(self._in_vain - 1, _DOUBLED_AT_MOST)
        if seconds is not None:
            self.pause(now, seconds)

    def pause(self, now: float, seconds: float) -> None:
        """Note that the server asks to be left alone, for some reason.

        Args:
            now: The current time.
            seconds: For how long.
        """
        until = now + min(seconds, RETRY_AFTER_AT_MOST)
        self._paused_at, self._paused_until = now, max(self._paused_until, until)

    def _look_back(self) -> Excess:
        """Take what was sent last, without what a pause lies between."""
        asked, last = self._rate.per_second, self._sent[-1].at
        since = last - max(SECOND, JUDGED_BY / asked)
        if self._paused_at < last:
            since = max(since, self._paused_at)
        return Excess(asked, [sent for sent in self._sent if sent.at > since])

    def _arrivals(self, now: float) -> list[float]:
        """The latest moments at which requests can have reached the server, in order.

        By arrival and not by departure: a request that is held up arrives among those
        that were sent after it.
        """
        is_known = len(self._round_trips) >= _ENOUGH_ANSWERS
        quickest = min(self._round_trips) if is_known else 0.0
        return sorted(
            self._arrived(sent, now, 0.0 if sent.cold else quickest)
            for sent in self._sent
        )

    @staticmethod
    def _arrived(sent: Sent, now: float, back: float) -> float:
        answered = now if sent.answered is None else sent.answered
        # One that hangs must not keep all others waiting.
        return max(sent.at, min(answered - back, sent.at + _ON_ITS_WAY_AT_MOST))
