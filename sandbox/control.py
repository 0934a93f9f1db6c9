"""The endpoints under ``/_sandbox/`` that change and show what the sandbox holds.

They are for scripts that run the sandbox as a process. They need no signature,
and Kommo has nothing like them. A message that is added is an event of the CRM API
too, if a talk is of its conversation.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from sandbox.faults import faults_from_json, faults_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.chats.store import ConversationStore, Row
    from sandbox.crm.api import CrmApi
    from sandbox.exchange import SeenRequest
    from sandbox.faults import Faults


class Controlled(Protocol):
    """What the endpoints change and show: a sandbox.

    Attributes:
        crm: The CRM API.
        faults: What goes wrong.
    """

    crm: CrmApi
    faults: Faults

    @property
    def store(self) -> ConversationStore:
        """The conversations."""

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """All requests answered so far."""

    def now(self) -> float:
        """Return the server's time, in seconds since 1970 (UTC)."""


def control_app(sandbox: Controlled) -> web.Application:
    """Build the application to mount under ``/_sandbox/``.

    Args:
        sandbox: The sandbox to change and show.
    """
    control = _Control(sandbox)
    messages = "/conversations/{conversation_id}/messages"
    app = web.Application()
    app.router.add_get(messages, control.messages)
    app.router.add_post(messages, control.add)
    app.router.add_patch(messages + "/{message_id}", control.edit)
    app.router.add_delete(messages + "/{message_id}", control.remove)
    app.router.add_get("/requests", control.requests)
    app.router.add_get("/faults", control.faults)
    app.router.add_put("/faults", control.set_faults)
    return app


class _Control:
    def __init__(self, sandbox: Controlled) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store

    async def messages(self, request: web.Request) -> web.Response:
        rows = self._store.rows(request.match_info["conversation_id"])
        return web.json_response({"messages": rows})

    async def add(self, request: web.Request) -> web.Response:
        row = await _json_object(request)
        message = row.get("message")
        if not (
            isinstance(row.get("timestamp"), int)
            and isinstance(row.get("msec_timestamp", 0), int)
            and isinstance(message, dict)
            and isinstance(message.get("id"), str)
        ):
            raise _error(
                web.HTTPBadRequest,
                "A row needs message.id, an integer timestamp and, if it has one, "
                "an integer msec_timestamp.",
            )
        conversation_id = request.match_info["conversation_id"]
        with _errors_answered():
            self._store.add(conversation_id, row)
        self._sandbox.crm.store.message_arrived(
            conversation_id,
            message["id"],
            at=int(self._sandbox.now()),
            # Only an outgoing message names its receiver.
            incoming="receiver" not in row,
        )
        return web.json_response(row, status=201)

    async def edit(self, request: web.Request) -> web.Response:
        changes = await _json_object(request)
        conversation_id, message_id = _named_message(request)
        with _errors_answered():
            self._store.edit(conversation_id, message_id, **changes)
        return web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        with _errors_answered():
            self._store.remove(*_named_message(request))
        return web.Response(status=204)

    async def requests(self, _request: web.Request) -> web.Response:
        by_status = Counter(seen.status for seen in self._sandbox.requests)
        return web.json_response(
            {
                "total": by_status.total(),
                "by_status": {str(status): by_status[status] for status in by_status},
            }
        )

    async def faults(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=faults_to_json(self._sandbox.faults), content_type="application/json"
        )

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            self._sandbox.faults = faults_from_json(await request.read())
        except ValueError as error:
            raise _error(web.HTTPBadRequest, str(error)) from None
        return await self.faults(request)


@contextmanager
def _errors_answered() -> Iterator[None]:
    """Answer what the store refuses."""
    try:
        yield
    except KeyError:
        raise _error(web.HTTPNotFound, "There is no such message.") from None
    except ValueError as error:
        raise _error(web.HTTPConflict, str(error)) from None


def _named_message(request: web.Request) -> tuple[str, str]:
    return request.match_info["conversation_id"], request.match_info["message_id"]


async def _json_object(request: web.Request) -> Row:
    try:
        value = json.loads(await request.read())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _error(web.HTTPBadRequest, "The body has to be a JSON object.")
    return value


def _error(kind: type[web.HTTPClientError], description: str) -> web.HTTPClientError:
    return kind(
        text=json.dumps({"error_description": description}),
        content_type="application/json",
    )
