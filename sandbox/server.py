"""The sandbox's web server."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.control import control_app
from sandbox.seed import CHANNEL_SECRET, SCOPE_ID
from sandbox.verification import PageRequest, Refusal, RequestParts, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from sandbox.conversations import ConversationStore

_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True)
class SeenRequest:
    """One request that came in, outside ``/_sandbox/``, and how it was answered.

    Attributes:
        at: When it came in, in seconds of ``time.monotonic()``.
        method: The HTTP method.
        target: Path and query as they came on the wire.
        conversation_id: The conversation asked for, where the path names one.
        offset: The offset asked for, where it is an integer.
        limit: The limit asked for, where it is an integer.
        status: The HTTP status answered.
        problem: What was wrong with the request, if anything.
        headers: The headers by name, in lower case. They hold the signature, so they
            are not shown.
    """

    at: float
    method: str
    target: str
    conversation_id: str | None
    offset: int | None
    limit: int | None
    status: int
    problem: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


class Sandbox:
    """Kommo's Chats API history endpoint on this machine's loopback address.

    A context manager: the server runs in a thread of its own from ``with`` on
    and has stopped when the block is left.

    Attributes:
        store: The conversations served. Change them at any time.
        before_page: Called before each page is taken from the store, so that a
            test can change the conversation between two pages.
        answer: Called with every request and the status it is about to get. What
            it returns is answered instead; None keeps the answer.
    """

    def __init__(  # noqa: PLR0913 - each one is a setting tests need on its own
        self,
        store: ConversationStore,
        *,
        secret: str = CHANNEL_SECRET,
        scope_id: str = SCOPE_ID,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
        empty_list_at_end: bool = False,
        before_page: Callable[[PageRequest], None] | None = None,
        answer: Callable[[SeenRequest], web.StreamResponse | None] | None = None,
    ) -> None:
        """Set the sandbox up; ``with`` starts it.

        Args:
            store: The conversations to serve.
            secret: The channel secret requests have to be signed with.
            scope_id: The one scope that exists.
            clock: Returns the time in seconds since 1970 (UTC) that the dates of
                requests are held against.
            host: The loopback address to bind to.
            port: The port to bind to; 0 picks a free one.
            empty_list_at_end: Answer an offset past the end with an empty list
                and not with 204. Kommo documents neither.
            before_page: See the attribute.
            answer: See the attribute.

        Raises:
            ValueError: ``host`` is not a loopback address.
        """
        self.store = store
        self.before_page = before_page
        self.answer = answer
        self._secret = secret
        self._scope_id = scope_id
        self._clock = clock
        self._host = _loopback_address(host)
        self._port = port
        self._empty_list_at_end = empty_list_at_end
        self._seen: list[SeenRequest] = []
        self._loop: asyncio.AbstractEventLoop
        self._runner: web.AppRunner
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        """Start to serve.

        Raises:
            OSError: The port is taken.
        """
        self._loop = asyncio.new_event_loop()
        # Started in the caller's thread, so that an error is raised here.
        try:
            self._loop.run_until_complete(self._start())
        except OSError:
            self._loop.close()
            raise
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to serve and close all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    @property
    def url(self) -> str:
        """The address that stands for Kommo's API host, with no slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def secret(self) -> str:
        """The channel secret requests have to be signed with."""
        return self._secret

    @property
    def scope_id(self) -> str:
        """The one scope that exists."""
        return self._scope_id

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """All requests answered so far, in that order."""
        return tuple(self._seen)

    def forget_requests(self) -> None:
        """Empty ``requests``."""
        self._seen.clear()

    async def _start(self) -> None:
        app = web.Application()
        app.add_subapp(
            "/_sandbox/",
            control_app(self.store, lambda: [seen.status for seen in self.requests]),
        )
        # One route for all else: the router works on a decoded path, and which
        # path was signed can only be told from the raw one.
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        at = time.monotonic()
        asked = check(
            RequestParts(
                method=request.method,
                target=request.raw_path,
                headers=request.headers,
                body=await request.read(),
            ),
            secret=self._secret,
            scope_id=self._scope_id,
            now=self._clock(),
        )
        response: web.StreamResponse
        if isinstance(asked, Refusal):
            response = _refused(asked)
            problem = asked.description
        else:
            response = self._page(asked)
            problem = None
        seen = SeenRequest(
            at=at,
            method=request.method,
            target=request.raw_path,
            conversation_id=asked.conversation_id,
            offset=asked.offset,
            limit=asked.limit,
            status=response.status,
            problem=problem,
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        if self.answer is not None:
            other = self.answer(seen)
            if other is not None:
                response = other
                seen = replace(seen, status=other.status)
        self._seen.append(seen)
        return response

    def _page(self, asked: PageRequest) -> web.Response:
        if self.before_page is not None:
            self.before_page(asked)
        rows = self.store.page(asked.conversation_id, asked.offset, asked.limit)
        if rows or (self._empty_list_at_end and self.store.size(asked.conversation_id)):
            return _json({"messages": rows}, 200)
        return web.Response(status=204)


def _refused(refusal: Refusal) -> web.Response:
    # The fields are those a client library parses; Kommo shows no such body.
    response = _json(
        {
            "error_code": refusal.status,
            "error_type": refusal.kind,
            "error_description": refusal.description,
        },
        refusal.status,
    )
    if refusal.status == web.HTTPMethodNotAllowed.status_code:
        response.headers["Allow"] = "GET"
    return response


def _json(content: object, status: int) -> web.Response:
    return web.Response(
        body=json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(),
        status=status,
        content_type="application/json",
        charset="utf-8",
    )


def _loopback_address(host: str) -> str:
    # The name is not looked up: a hosts file may send it anywhere.
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        message = f"The sandbox binds to a loopback address only, not to {host!r}."
        raise ValueError(message)
    return address
