"""The conversations of the own channel.

A message that is added raises an event of the CRM API, if a talk is of its
conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.control.bodies import bad_request, errors_answered, json_object

if TYPE_CHECKING:
    from sandbox.control.controlled import Controlled

_MESSAGES = "/conversations/{conversation_id}/messages"


def add_conversations(router: web.UrlDispatcher, sandbox: Controlled) -> None:
    """Add the endpoints that change and show conversations."""
    control = _Conversations(sandbox)
    router.add_get(_MESSAGES, control.messages)
    router.add_post(_MESSAGES, control.add)
    router.add_patch(_MESSAGES + "/{message_id}", control.edit)
    router.add_delete(_MESSAGES + "/{message_id}", control.remove)


class _Conversations:
    def __init__(self, sandbox: Controlled) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store

    async def messages(self, request: web.Request) -> web.Response:
        rows = self._store.rows(request.match_info["conversation_id"])
        return web.json_response({"messages": rows})

    async def add(self, request: web.Request) -> web.Response:
        row = await json_object(request)
        message = row.get("message")
        if not (
            isinstance(row.get("timestamp"), int)
            and isinstance(row.get("msec_timestamp", 0), int)
            and isinstance(message, dict)
            and isinstance(message.get("id"), str)
        ):
            description = (
                "A row needs message.id, an integer timestamp and, if it has one, "
                "an integer msec_timestamp."
            )
            raise bad_request(description)
        conversation_id = request.match_info["conversation_id"]
        with errors_answered("message"):
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
        changes = await json_object(request)
        conversation_id, message_id = _named_message(request)
        with errors_answered("message"):
            self._store.edit(conversation_id, message_id, **changes)
        return web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        with errors_answered("message"):
            self._store.remove(*_named_message(request))
        return web.Response(status=204)


def _named_message(request: web.Request) -> tuple[str, str]:
    return request.match_info["conversation_id"], request.match_info["message_id"]
