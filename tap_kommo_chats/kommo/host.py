"""One of Kommo's hosts, and what all threads that ask it share."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_kommo_chats.kommo.large import Room
from tap_kommo_chats.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_kommo_chats.kommo.limiter import RequestLimiter

ATTEMPTS = 6
"""How often something is asked for before it is given up."""

LONGEST_WAIT = 30.0
"""Seconds between two attempts at most. The waits double, with full jitter."""

ASKING_SECONDS = 900.0
"""How long all attempts together may take, waits included."""


@dataclass(slots=True, eq=False)
class Host:
    """A host, and what its answers told so far.

    Attributes:
        url: Scheme, host and port, with no slash at the end.
        setting: The setting that says so, for what an operator is told.
        user_agent: How the tap presents itself.
        timeout: Seconds to wait for the server to connect or send something.
        limiter: Lets requests go in turn. Kommo's hosts count apart.
        on_request: Called before each request, in the thread that sends it.
        room: For the one large answer of it that may be in memory.
        attempts: How often something is asked for; None for as often as a run does.
        retries: Tells what is asked for again, and why.
        has_answered: Whether any answer came.
        has_accepted: Whether one gave what was asked for, so that whatever is the
            same for all requests is right.
        has_refused: Whether one said that there were too many requests.
    """

    url: str
    setting: str
    user_agent: str
    timeout: int
    limiter: RequestLimiter
    on_request: Callable[[], None] = lambda: None
    room: Room = field(default_factory=Room)
    attempts: int | None = None
    retries: Teller = field(
        default_factory=lambda: Teller(logging.getLogger("tap-kommo-chats"))
    )
    has_answered: bool = False
    has_accepted: bool = False
    has_refused: bool = False

    @property
    def requests_made(self) -> int:
        """How many requests were sent, each attempt counted."""
        return self.limiter.requests_made

    def stop(self) -> None:
        """Let no further request go."""
        self.limiter.stop()
        self.room.stop()
