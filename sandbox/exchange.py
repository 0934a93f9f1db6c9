"""One request and its answer, and what goes wrong between the two."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Generic

from aiohttp import web

from sandbox.api import AskedT, Refusal
from sandbox.wire import WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.api import Answer, Api, RequestParts, Subject
    from sandbox.faults import Faults, Strike
    from sandbox.wire import Ending

# The faults that strike a request even if it is not in order, and those whose answer
# is a page that is spoiled.
_BEFORE_VERIFICATION = frozenset({"reset_before", "reset_within", "blocked"})
_OF_PAGES = frozenset({"reset_within", "truncated", "cut_json", "oversized"})
_HTML_STATUSES = {"server_error": 502, "html": 200, "blocked": 403}
_HTML = "<!DOCTYPE html>\n<title>Sandbox</title>\n<p>This is not what you asked for.\n"
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
class Exchange(Generic[AskedT]):
    """A request that has arrived, with what is to become of it.

    Attributes:
        api: The API it is for.
        request: The request's parts.
        subject: What it is about.
        asked: What it asks for, or why it is refused.
        faults: The faults that apply to it.
        strike: What happens to it.
        fault: The fault that decides the answer, if any.
    """

    api: Api[AskedT]
    request: RequestParts
    subject: Subject
    asked: AskedT | Refusal
    faults: Faults
    strike: Strike
    fault: str | None

    def change(self) -> str | None:
        """Let what is asked for change before it is taken.

        Returns:
            The fault that changed it, if any.
        """
        if isinstance(self.asked, Refusal):
            return None
        return self.api.change(self.asked, self.strike)

    def response(self, now: float) -> web.Response:
        """Take the answer, or what a fault puts in its place.

        Args:
            now: The server's time, in seconds since 1970 (UTC).
        """
        if self.fault == "redirect_to":
            return web.Response(
                status=302, headers={"Location": str(self.faults.redirect_to)}
            )
        if self.fault in ("too_many", "requests_per_second"):
            return self._too_many(now)
        if self.fault in _HTML_STATUSES:
            status = _HTML_STATUSES[self.fault]
            return web.Response(text=_HTML, status=status, content_type="text/html")
        if isinstance(self.asked, Refusal):
            return _error(self.api.error(self.asked))
        if self.fault == "reset_before":
            # No byte of it goes out, so no page is taken.
            return web.Response()
        return self._answered(self.api.answer(self.asked))

    def seen(self, at: float, status: int, changed: str | None) -> SeenRequest:
        """Return what to remember of the request.

        Args:
            at: When it came in, in seconds of ``time.monotonic()``.
            status: The status of its answer, if that is to be complete.
            changed: The fault that changed what it asks for, if any.
        """
        headers = self.request.headers
        return SeenRequest(
            at=at,
            method=self.request.method,
            target=self.request.target,
            conversation_id=self.subject.conversation_id,
            offset=self.subject.offset,
            limit=self.subject.limit,
            status=0 if self.fault in _ENDINGS else status,
            problem=(
                self.asked.description if isinstance(self.asked, Refusal) else None
            ),
            fault=self.fault or ("trickle" if self.strike.trickle else changed),
            headers={name.lower(): value for name, value in headers.items()},
        )

    def on_the_wire(self, response: web.Response) -> web.StreamResponse:
        """Return a response that goes out as the faults say."""
        ending = _ENDINGS.get(self.fault or "", "whole")
        if ending == "whole" and not self.strike.trickle:
            return response
        return WireAnswer(
            response,
            ending=ending,
            pause=self.faults.trickle_seconds if self.strike.trickle else None,
            pause_in_headers=self.faults.trickle_headers,
        )

    def _answered(self, answer: Answer) -> web.Response:
        if answer.status >= web.HTTPBadRequest.status_code:
            return _error(answer)
        empty = answer.status == web.HTTPNoContent.status_code
        if empty and self.fault not in _OF_PAGES:
            return web.Response(status=answer.status)
        page = _json_bytes(answer.content)
        # Inside the JSON, so that half of it is never JSON.
        page = page[:-1] + b" " * (self.faults.oversized - len(page)) + page[-1:]
        cut = page[: len(page) // 2] if self.fault == "cut_json" else page
        return _json(cut, 200, answer.content_type)

    def _too_many(self, now: float) -> web.Response:
        faults = self.faults
        refusal = Refusal(429, "There are too many requests.")
        response = _error(self.api.error(refusal))
        if faults.retry_after is not None:
            response.headers["Retry-After"] = (
                formatdate(math.ceil(now + faults.retry_after), usegmt=True)
                if faults.retry_after_as_date
                # Whole seconds, as HTTP has them, are written as such.
                else f"{faults.retry_after:.15g}"
            )
        return response


def deciding_fault(
    faults: Faults, strike: Strike, *, refused: bool, one_too_many: Callable[[], bool]
) -> str | None:
    """Return the fault that decides the answer to a request, if any.

    Args:
        faults: The faults that apply to it.
        strike: What happens to it.
        refused: Whether it is not in order.
        one_too_many: Says whether it is over the limit, and counts it if it is not.
            Called only if it would be answered.
    """
    if faults.redirect_to is not None:
        return "redirect_to"
    if strike.fault in _BEFORE_VERIFICATION:
        return strike.fault
    if refused:
        return None
    if one_too_many():
        return "requests_per_second"
    return strike.fault or ("oversized" if faults.oversized else None)


def _error(answer: Answer) -> web.Response:
    response = _json(_json_bytes(answer.content), answer.status, answer.content_type)
    if answer.status == web.HTTPMethodNotAllowed.status_code:
        response.headers["Allow"] = "GET"
    return response


def _json(body: bytes, status: int, content_type: str) -> web.Response:
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
