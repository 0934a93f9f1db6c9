"""The sandbox's web server."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import threading
import time
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.control import control_app
from sandbox.faults import NO_FAULTS, FaultRun, Faults, Strike
from sandbox.seed import CHANNEL_SECRET, SCOPE_ID
from sandbox.verification import (
    PageRequest,
    Refusal,
    RequestParts,
    check,
    conversation_in,
)
from sandbox.wire import WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from sandbox.conversations import ConversationStore
    from sandbox.wire import Ending

_SHUTDOWN_SECONDS = 1.0
# Hundreds of clients may connect at once. Those beyond would try again only after a
# second, and look slow.
_BACKLOG = 1024

# The faults that strike a request even if it is not in order, and those whose answer
# is a page that is spoiled.
_BEFORE_VERIFICATION = frozenset({"reset_before", "reset_within", "blocked"})
_OF_PAGES = frozenset({"reset_within", "truncated", "cut_json", "oversized"})
_HTML_STATUSES = {"server_error": 502, "html": 200, "blocked": 403}
_HTML = "<!DOCTYPE html>\n<title>Sandbox</title>\n<p>This is not what you asked for.\n"
_SENDER = {"id": "3d1f6f0a-8a51-4f6e-9a0b-6f7d2c1e5b94", "name": "Sandbox"}
# The faults after which an answer is not complete, and how its connection ends.
_ENDINGS: dict[str, Ending] = {
    "reset_before": "reset_before",
    "reset_within": "reset_within",
    "truncated": "truncated",
}


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
        status: The HTTP status answered; 0 if the answer was not to be complete.
        problem: What was wrong with the request, if anything.
        fault: The fault that struck, if any. Of several, the one that spoiled the
            answer most: a message that appeared or vanished is named last.
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
    fault: str | None = None
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
            it returns is answered instead, without a fault; None keeps the answer.
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
        faults: Faults = NO_FAULTS,
        before_page: Callable[[PageRequest], None] | None = None,
        answer: Callable[[SeenRequest], web.StreamResponse | None] | None = None,
    ) -> None:
        """Set the sandbox up; ``with`` starts it.

        Args:
            store: The conversations to serve.
            secret: The channel secret requests have to be signed with.
            scope_id: The one scope that exists.
            clock: Returns the time in seconds since 1970 (UTC) that the dates of
                requests are held against and answers are dated with.
            host: The loopback address to bind to.
            port: The port to bind to; 0 picks a free one.
            empty_list_at_end: Answer an offset past the end with an empty list
                and not with 204. Kommo documents neither.
            faults: See the property.
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
        self._run = FaultRun(faults)
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
        self._loop.run_until_complete(self._stop())
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
    def faults(self) -> Faults:
        """What goes wrong. Setting it starts to count requests anew."""
        return self._run.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._run = FaultRun(faults)

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """All requests answered so far, in that order."""
        return tuple(self._seen)

    def forget_requests(self) -> None:
        """Empty ``requests``."""
        self._seen.clear()

    async def _start(self) -> None:
        app = web.Application()
        app.add_subapp("/_sandbox/", control_app(self))
        # One route for all else: the router works on a decoded path, and which
        # path was signed can only be told from the raw one.
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        try:
            await web.TCPSite(
                self._runner, self._host, self._port, backlog=_BACKLOG
            ).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        # aiohttp loses sight of requests that wait and whose client has left.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        at = time.monotonic()
        run = self._run
        path, _, _ = request.raw_path.partition("?")
        faults = run.faults_for(conversation_in(path, self._scope_id))
        asked = check(
            RequestParts(
                method=request.method,
                target=request.raw_path,
                headers=request.headers,
                body=await request.read(),
            ),
            secret=self._secret,
            scope_id=self._scope_id,
            now=self._clock() + faults.clock_skew,
        )
        # Decided on arrival: requests that are made to wait mix up the order.
        strike = run.strike(asked.conversation_id, asked.offset)
        fault = _deciding_fault(run, faults, asked, strike)
        if strike.wait:
            await asyncio.sleep(strike.wait)

        changed = self._change(asked, strike)
        now = self._clock() + faults.clock_skew
        response = self._response(asked, faults, fault, now)
        seen = SeenRequest(
            at=at,
            method=request.method,
            target=request.raw_path,
            conversation_id=asked.conversation_id,
            offset=asked.offset,
            limit=asked.limit,
            status=0 if fault in _ENDINGS else response.status,
            problem=asked.description if isinstance(asked, Refusal) else None,
            fault=fault or ("trickle" if strike.trickle else changed),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        other = None if self.answer is None else self.answer(seen)
        if other is None:
            sent = _on_the_wire(response, faults, fault, strike)
        else:
            sent = other
            seen = replace(seen, status=other.status, fault=None)
        # Left to itself, aiohttp dates answers by the machine's clock.
        sent.headers.setdefault("Date", formatdate(now, usegmt=True))
        self._seen.append(seen)
        return sent

    def _change(self, asked: PageRequest | Refusal, strike: Strike) -> str | None:
        """Let messages of the conversation asked for vanish and appear.

        Returns:
            ``vanish`` or ``appear``, if one of the two happened; of both, the first.
        """
        if isinstance(asked, Refusal):
            return None
        chat = asked.conversation_id
        vanished = strike.vanishes is not None and self.store.remove_at(
            chat, strike.vanishes
        )
        appeared = False
        if strike.appears is not None:
            text = "This message appeared between two requests."
            message = {"id": strike.appears, "type": "text", "text": text}
            row = {"sender": _SENDER, "message": message}
            appeared = self.store.add_newest(chat, row)
        return "vanish" if vanished else "appear" if appeared else None

    def _response(
        self,
        asked: PageRequest | Refusal,
        faults: Faults,
        fault: str | None,
        now: float,
    ) -> web.Response:
        if fault == "redirect_to":
            return web.Response(
                status=302, headers={"Location": str(faults.redirect_to)}
            )
        if fault in ("too_many", "requests_per_second"):
            return _too_many(faults, now)
        if fault in _HTML_STATUSES:
            return _html(_HTML_STATUSES[fault])
        if isinstance(asked, Refusal):
            return _refused(asked)
        if fault == "reset_before":
            # No byte of it goes out, so no page is taken.
            return web.Response()
        return self._page(asked, faults, fault)

    def _page(
        self, asked: PageRequest, faults: Faults, fault: str | None
    ) -> web.Response:
        if self.before_page is not None:
            self.before_page(asked)
        rows = self.store.page(asked.conversation_id, asked.offset, asked.limit)
        known_list = self._empty_list_at_end and self.store.size(asked.conversation_id)
        if not (rows or known_list or fault in _OF_PAGES):
            return web.Response(status=204)
        page = _json_bytes({"messages": rows})
        # Inside the JSON, so that half of it is never JSON.
        page = page[:-2] + b" " * (faults.oversized - len(page)) + page[-2:]
        return _json(page[: len(page) // 2] if fault == "cut_json" else page, 200)


def _deciding_fault(
    run: FaultRun, faults: Faults, asked: PageRequest | Refusal, strike: Strike
) -> str | None:
    """Return the fault that decides the answer, if any."""
    if faults.redirect_to is not None:
        return "redirect_to"
    if strike.fault in _BEFORE_VERIFICATION:
        return strike.fault
    if isinstance(asked, Refusal):
        return None
    if run.is_one_too_many(asked.conversation_id, time.monotonic()):
        return "requests_per_second"
    return strike.fault or ("oversized" if faults.oversized else None)


def _on_the_wire(
    response: web.Response, faults: Faults, fault: str | None, strike: Strike
) -> web.StreamResponse:
    ending = _ENDINGS.get(fault or "", "whole")
    if ending == "whole" and not strike.trickle:
        return response
    return WireAnswer(
        response,
        ending=ending,
        pause=faults.trickle_seconds if strike.trickle else None,
        pause_in_headers=faults.trickle_headers,
    )


def _too_many(faults: Faults, now: float) -> web.Response:
    response = _error(429, "TOO_MANY_REQUESTS", "There are too many requests.")
    if faults.retry_after is not None:
        response.headers["Retry-After"] = (
            formatdate(math.ceil(now + faults.retry_after), usegmt=True)
            if faults.retry_after_as_date
            # Whole seconds, as HTTP has them, are written as such.
            else f"{faults.retry_after:.15g}"
        )
    return response


def _html(status: int) -> web.Response:
    return web.Response(text=_HTML, status=status, content_type="text/html")


def _refused(refusal: Refusal) -> web.Response:
    response = _error(refusal.status, refusal.kind, refusal.description)
    if refusal.status == web.HTTPMethodNotAllowed.status_code:
        response.headers["Allow"] = "GET"
    return response


def _error(status: int, kind: str, description: str) -> web.Response:
    # The fields are those a client library parses; Kommo shows no such body.
    content = {
        "error_code": status,
        "error_type": kind,
        "error_description": description,
    }
    return _json(_json_bytes(content), status)


def _json(body: bytes, status: int) -> web.Response:
    return web.Response(
        body=body, status=status, content_type="application/json", charset="utf-8"
    )


def _json_bytes(content: object) -> bytes:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, which a raw row may hold, can only go out escaped.
        return json.dumps(content, separators=(",", ":")).encode()


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
