"""The sandbox's web server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.api import Refusal, RequestParts
from sandbox.chats.api import ChatsApi
from sandbox.control.app import control_app
from sandbox.crm.api import CrmApi
from sandbox.crm.store import CrmStore
from sandbox.exchange import Exchange, SeenRequest, deciding_fault
from sandbox.faults import NO_FAULTS, FaultRun, Faults
from sandbox.loopback import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from sandbox.api import Api
    from sandbox.chats.store import ConversationStore


class Sandbox:
    """Kommo's two APIs on one port of this machine's loopback address.

    The CRM API, which has a host of its own at Kommo, is under ``/api/v4/``.

    A context manager: the server runs in a thread of its own from ``with`` on
    and has stopped when the block is left. Change the attributes at any time.

    Attributes:
        chats: The Chats API.
        crm: The CRM API.
        clock: Returns the time in seconds since 1970 (UTC) that the dates of requests
            are held against and answers are dated with.
        answer: Called with every request and the status it is about to get. What
            it returns is answered instead, without a fault; None keeps the answer.
    """

    def __init__(
        self,
        store: ConversationStore,
        crm_store: CrmStore | None = None,
        *,
        faults: Faults = NO_FAULTS,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Set the sandbox up; ``with`` starts it.

        Args:
            store: The conversations to serve.
            crm_store: What the CRM holds; nothing but the account if None.
            faults: See the property.
            host: The loopback address to bind to.
            port: The port to bind to; 0 picks a free one.

        Raises:
            ValueError: ``host`` is not a loopback address.
        """
        self.chats = ChatsApi(store)
        self.crm = CrmApi(CrmStore() if crm_store is None else crm_store)
        self.clock: Callable[[], float] = time.time
        self.answer: Callable[[SeenRequest], web.StreamResponse | None] | None = None
        # The first that serves a path is asked, and the last serves any.
        self._apis: tuple[Api[Any], ...] = (self.crm, self.chats)
        self._server = LoopbackServer(self._app, host, port)
        self._seen: list[SeenRequest] = []
        self.faults = faults

    def __enter__(self) -> Self:
        """Start to serve.

        Raises:
            OSError: The port is taken.
        """
        self._server.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to serve and close all connections."""
        self._server.stop()

    @property
    def url(self) -> str:
        """The address that stands for Kommo's API hosts, with no slash at the end."""
        return self._server.url

    @property
    def store(self) -> ConversationStore:
        """The conversations served. Change them at any time."""
        return self.chats.store

    @property
    def scope_id(self) -> str:
        """The one scope that exists."""
        return self.chats.scope_id

    @property
    def secret(self) -> str:
        """The channel secret requests to the Chats API have to be signed with."""
        return self.chats.secret

    @property
    def crm_token(self) -> str:
        """The bearer token requests to the CRM API have to carry."""
        return self.crm.token

    @property
    def faults(self) -> Faults:
        """What goes wrong. Setting it starts to count requests anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        # Kommo serves the two APIs from different hosts, which count for themselves.
        self._runs = {api: FaultRun(faults) for api in self._apis}

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """All requests answered so far, in that order."""
        return tuple(self._seen)

    def forget_requests(self) -> None:
        """Empty ``requests``."""
        self._seen.clear()

    def now(self) -> float:
        """Return the server's time, in seconds since 1970 (UTC)."""
        return self.clock() + self.faults.clock_skew

    def _app(self) -> web.Application:
        app = web.Application()
        app.add_subapp("/_sandbox/", control_app(self))
        # One route for all else: the router works on a decoded path, and which
        # path was signed can only be told from the raw one.
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        at = time.monotonic()
        exchange = self._arrived(request, await request.read())
        if exchange.strike.wait:
            await asyncio.sleep(exchange.strike.wait)

        changed = exchange.change()
        now = self.clock() + exchange.faults.clock_skew
        response = exchange.response(now)
        seen = exchange.seen(at, response.status, changed)
        other = None if self.answer is None else self.answer(seen)
        if other is None:
            sent = exchange.on_the_wire(response)
        else:
            sent = other
            seen = replace(seen, status=other.status, fault=None)
        # Left to itself, aiohttp dates answers by the machine's clock.
        sent.headers.setdefault("Date", formatdate(now, usegmt=True))
        self._seen.append(seen)
        return sent

    def _arrived(self, request: web.Request, body: bytes) -> Exchange[Any]:
        """Decide on arrival: requests that are made to wait mix up the order."""
        target = request.raw_path
        path, _, _ = target.partition("?")
        api = next(api for api in self._apis if api.serves(path))
        subject = api.subject(target)
        run = self._runs[api]
        faults = run.faults_for(subject.names)
        parts = RequestParts(
            method=request.method,
            target=target,
            headers=request.headers,
            body=body,
            at=self.clock() + faults.clock_skew,
            url=self.url,
        )
        asked = api.check(parts)
        strike = run.strike(subject.names, subject.page)
        fault = deciding_fault(
            faults,
            strike,
            refused=isinstance(asked, Refusal),
            one_too_many=lambda: run.is_one_too_many(subject.names, time.monotonic()),
        )
        return Exchange(api, parts, subject, asked, faults, strike, fault)
