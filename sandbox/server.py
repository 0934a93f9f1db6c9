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
from sandbox.crm import (
    CRM_TOKEN,
    CrmRequest,
    CrmStore,
    asked_limit,
    check_crm,
    crm_page,
    fault_key,
    is_crm,
    is_meant,
    problem_json,
)
from sandbox.faults import NO_FAULTS, FaultRun, Faults, Strike
from sandbox.seed import CHANNEL_SECRET, SCOPE_ID
from sandbox.verification import (
    PageRequest,
    Refusal,
    RequestParts,
    check,
    conversation_in,
)
from sandbox.webhooks import WebhooksFile
from sandbox.wire import WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
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
        conversation_id: The conversation asked for, where the path names one. None
            for the CRM API.
        offset: The offset asked for, where it is an integer. None for the CRM API.
        limit: The limit asked for, where it is an integer.
        status: The HTTP status answered; 0 if the answer was not to be complete.
        problem: What was wrong with the request, if anything.
        fault: The fault that struck, if any. Of several, the one that spoiled the
            answer most: a message that appeared or vanished is named last.
        headers: The headers by name, in lower case. They hold the signature or the
            token, so they are not shown.
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


@dataclass(frozen=True)
class _Case:
    """One request, whichever of the two APIs it is for.

    Attributes:
        crm: Whether it is for the CRM API.
        run: The faults it meets, with what was counted for its API.
        faults: The faults that apply to it.
        page: What the faults are drawn for.
        asked: What it asks for, or why it is refused.
        limit: The limit asked for, where it is an integer.
        conversation_id: The conversation asked for, where the path names one.
        offset: The offset asked for, where it is an integer.
    """

    crm: bool
    run: FaultRun
    faults: Faults
    page: tuple[str | None, int | None]
    asked: PageRequest | CrmRequest | Refusal
    limit: int | None
    conversation_id: str | None = None
    offset: int | None = None


class Sandbox:
    """Kommo's Chats API history endpoint on this machine's loopback address.

    The CRM API, which has a host of its own at Kommo, is on the same port under
    ``/api/v4/``.

    A context manager: the server runs in a thread of its own from ``with`` on
    and has stopped when the block is left.

    Attributes:
        store: The conversations served. Change them at any time.
        before_page: Called before each page is taken from the store, so that a
            test can change the conversation between two pages.
        before_crm_page: The same for talks and events, called with path and query
            as they came on the wire.
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
        before_crm_page: Callable[[str], None] | None = None,
        answer: Callable[[SeenRequest], web.StreamResponse | None] | None = None,
        crm: CrmStore | None = None,
        crm_token: str = CRM_TOKEN,
        webhooks_file: Path | None = None,
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
            before_crm_page: See the attribute.
            answer: See the attribute.
            crm: The talks and events to serve; none if None.
            crm_token: The bearer token CRM requests have to carry.
            webhooks_file: Append a line of JSON to this file for each conversation
                at the start, and then for each message that is added to the store.

        Raises:
            ValueError: ``host`` is not a loopback address.
        """
        self.store = store
        self.before_page = before_page
        self.before_crm_page = before_crm_page
        self.answer = answer
        self._secret = secret
        self._scope_id = scope_id
        self._clock = clock
        self._host = _loopback_address(host)
        self._port = port
        self._empty_list_at_end = empty_list_at_end
        self._crm = CrmStore() if crm is None else crm
        self._crm_token = crm_token
        self._webhooks = (
            None if webhooks_file is None else WebhooksFile(store, webhooks_file)
        )
        self.faults = faults
        self._seen: list[SeenRequest] = []
        self._loop: asyncio.AbstractEventLoop
        self._runner: web.AppRunner
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        """Start to serve.

        Raises:
            OSError: The port is taken, or the file for webhooks cannot be written.
        """
        if self._webhooks is not None:
            self._webhooks.open()
        self._loop = asyncio.new_event_loop()
        # Started in the caller's thread, so that an error is raised here.
        try:
            self._loop.run_until_complete(self._start())
        except OSError:
            self._loop.close()
            if self._webhooks is not None:
                self._webhooks.close()
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
        if self._webhooks is not None:
            self._webhooks.close()

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
    def crm(self) -> CrmStore:
        """The talks and events served. Change them at any time."""
        return self._crm

    @property
    def crm_token(self) -> str:
        """The bearer token CRM requests have to carry."""
        return self._crm_token

    @property
    def faults(self) -> Faults:
        """What goes wrong. Setting it starts to count requests anew."""
        return self._run.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._run = FaultRun(faults)
        # Kommo serves the two APIs from different hosts, which count for themselves.
        # Whom the faults are for is decided by the path, so all that arrive count.
        self._crm_run = FaultRun(replace(faults, only=None))

    def now(self) -> float:
        """Return the server's time, in seconds since 1970 (UTC)."""
        return self._clock() + self.faults.clock_skew

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
        case = self._case(
            RequestParts(
                method=request.method,
                target=request.raw_path,
                headers=request.headers,
                body=await request.read(),
            )
        )
        asked, faults = case.asked, case.faults
        # Decided on arrival: requests that are made to wait mix up the order.
        strike = case.run.strike(*case.page)
        fault = _deciding_fault(case, strike)
        if strike.wait:
            await asyncio.sleep(strike.wait)

        changed = self._change(asked, strike)
        now = self._clock() + faults.clock_skew
        response = self._response(case, fault, now)
        seen = SeenRequest(
            at=at,
            method=request.method,
            target=request.raw_path,
            conversation_id=case.conversation_id,
            offset=case.offset,
            limit=case.limit,
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

    def _case(self, parts: RequestParts) -> _Case:
        path, _, _ = parts.target.partition("?")
        if is_crm(path):
            meant = is_meant(self.faults.only, path)
            run = self._crm_run if meant else FaultRun(NO_FAULTS)
            return _Case(
                crm=True,
                run=run,
                faults=run.faults,
                page=fault_key(parts.target),
                asked=check_crm(parts, token=self._crm_token, store=self._crm),
                limit=asked_limit(parts.target),
            )
        run = self._run
        faults = run.faults_for(conversation_in(path, self._scope_id))
        asked = check(
            parts,
            secret=self._secret,
            scope_id=self._scope_id,
            now=self._clock() + faults.clock_skew,
        )
        return _Case(
            crm=False,
            run=run,
            faults=faults,
            page=(asked.conversation_id, asked.offset),
            asked=asked,
            limit=asked.limit,
            conversation_id=asked.conversation_id,
            offset=asked.offset,
        )

    def _change(
        self, asked: PageRequest | CrmRequest | Refusal, strike: Strike
    ) -> str | None:
        """Let messages of the conversation asked for vanish and appear.

        Returns:
            ``vanish`` or ``appear``, if one of the two happened; of both, the first.
        """
        if not isinstance(asked, PageRequest):
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

    def _response(self, case: _Case, fault: str | None, now: float) -> web.Response:
        if fault == "redirect_to":
            return web.Response(
                status=302, headers={"Location": str(case.faults.redirect_to)}
            )
        if fault in ("too_many", "requests_per_second"):
            return _too_many(case, now)
        if fault in _HTML_STATUSES:
            return _html(_HTML_STATUSES[fault])
        if isinstance(case.asked, Refusal):
            return _refused(case.asked, crm=case.crm)
        if fault == "reset_before":
            # No byte of it goes out, so no page is taken.
            return web.Response()
        return self._page(case.asked, case.faults, fault)

    def _crm_page(
        self, asked: CrmRequest, faults: Faults, fault: str | None
    ) -> web.Response:
        if self.before_crm_page is not None:
            self.before_crm_page(asked.target)
        answer = crm_page(self._crm, asked, self.url)
        if answer.status == web.HTTPNotFound.status_code:
            return _problem(answer.status, answer.content)
        if answer.status == web.HTTPNoContent.status_code and fault not in _OF_PAGES:
            return web.Response(status=204)
        return _spoiled(answer.content, faults, fault, "application/hal+json")

    def _page(
        self, asked: PageRequest | CrmRequest, faults: Faults, fault: str | None
    ) -> web.Response:
        if isinstance(asked, CrmRequest):
            return self._crm_page(asked, faults, fault)
        if self.before_page is not None:
            self.before_page(asked)
        rows = self.store.page(asked.conversation_id, asked.offset, asked.limit)
        known_list = self._empty_list_at_end and self.store.size(asked.conversation_id)
        if not (rows or known_list or fault in _OF_PAGES):
            return web.Response(status=204)
        return _spoiled({"messages": rows}, faults, fault)


def _spoiled(
    content: object,
    faults: Faults,
    fault: str | None,
    content_type: str = "application/json",
) -> web.Response:
    """Return a page, padded or cut where a fault says so."""
    page = _json_bytes(content)
    # Inside the JSON, so that half of it is never JSON.
    page = page[:-1] + b" " * (faults.oversized - len(page)) + page[-1:]
    cut = page[: len(page) // 2] if fault == "cut_json" else page
    return _json(cut, 200, content_type)


def _deciding_fault(case: _Case, strike: Strike) -> str | None:
    """Return the fault that decides the answer, if any."""
    faults = case.faults
    if faults.redirect_to is not None:
        return "redirect_to"
    if strike.fault in _BEFORE_VERIFICATION:
        return strike.fault
    if isinstance(case.asked, Refusal):
        return None
    if case.run.is_one_too_many(case.page[0], time.monotonic()):
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


def _too_many(case: _Case, now: float) -> web.Response:
    faults = case.faults
    text = "There are too many requests."
    response = (
        _problem(429, problem_json(429, "Too Many Requests", text))
        if case.crm
        else _error(429, "TOO_MANY_REQUESTS", text)
    )
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


def _refused(refusal: Refusal, *, crm: bool) -> web.Response:
    said = (refusal.status, refusal.kind, refusal.description)
    response = _problem(refusal.status, problem_json(*said)) if crm else _error(*said)
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


def _problem(status: int, content: object) -> web.Response:
    return _json(_json_bytes(content), status, "application/problem+json")


def _json(
    body: bytes, status: int, content_type: str = "application/json"
) -> web.Response:
    return web.Response(
        body=body, status=status, content_type=content_type, charset="utf-8"
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
