"""What happens in the CRM: messages of native channels, talks, leads and users.

It happens now, by the server's clock, unless the body says when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.control.bodies import bad_request, errors_answered, json_object

if TYPE_CHECKING:
    from sandbox.control.controlled import Controlled

_MESSAGES = r"/talks/{talk_id:\d+}/messages"


def add_crm(router: web.UrlDispatcher, sandbox: Controlled) -> None:
    """Add the endpoints that change and show what the CRM holds."""
    control = _Crm(sandbox)
    router.add_get(_MESSAGES, control.messages)
    router.add_post(_MESSAGES, control.add)
    router.add_patch(_MESSAGES + "/{message_id}", control.edit)
    router.add_delete(_MESSAGES + "/{message_id}", control.remove)
    router.add_put(r"/talks/{talk_id:\d+}", control.open_talk)
    router.add_post(r"/talks/{talk_id:\d+}/close", control.close_talk)
    router.add_post(r"/talks/{talk_id:\d+}/reopen", control.reopen_talk)
    router.add_patch(r"/leads/{lead_id:\d+}", control.change_lead)
    router.add_delete(r"/users/{user_id:\d+}", control.remove_user)


class _Crm:
    def __init__(self, sandbox: Controlled) -> None:
        self._sandbox = sandbox
        self._store = sandbox.crm.store

    async def messages(self, request: web.Request) -> web.Response:
        rows = self._store.messages.of([_id(request, "talk_id")])
        return web.json_response({"messages": rows})

    async def add(self, request: web.Request) -> web.Response:
        """Add a message of fields; ``user_id`` makes it a reply of that user."""
        fields = await json_object(request)
        at = self._taken_time(fields, "created_at")
        user_id = fields.pop("user_id", None)
        if user_id is not None:
            fields["author"] = self._store.agent(user_id)
        author = fields.get("author", {"type": "external"})
        if not (isinstance(author, dict) and isinstance(author.get("type"), str)):
            description = "An author is an object with a type."
            raise bad_request(description)
        talk_id = _id(request, "talk_id")
        with errors_answered("talk"):
            self._store.add_message(
                talk_id, at, message_id=fields.pop("id", None), **fields
            )
        return web.json_response(self._store.messages.of([talk_id])[-1], status=201)

    async def edit(self, request: web.Request) -> web.Response:
        changes = await json_object(request)
        with errors_answered("message"):
            self._store.messages.update(request.match_info["message_id"], **changes)
        return web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        with errors_answered("message"):
            self._store.messages.remove(request.match_info["message_id"])
        return web.Response(status=204)

    async def open_talk(self, request: web.Request) -> web.Response:
        """Begin a talk of the chat ``chat_id``."""
        fields = await json_object(request)
        at = self._taken_time(fields, "created_at")
        chat_id = fields.pop("chat_id", None)
        if not isinstance(chat_id, str):
            description = "A talk needs chat_id."
            raise bad_request(description)
        fields.pop("talk_id", None)
        self._store.open_talk(_id(request, "talk_id"), chat_id, at, **fields)
        return web.Response(status=204)

    async def close_talk(self, request: web.Request) -> web.Response:
        with errors_answered("talk"):
            self._store.close_talk(_id(request, "talk_id"), self._now())
        return web.Response(status=204)

    async def reopen_talk(self, request: web.Request) -> web.Response:
        with errors_answered("talk"):
            self._store.reopen_talk(_id(request, "talk_id"), self._now())
        return web.Response(status=204)

    async def change_lead(self, request: web.Request) -> web.Response:
        """Change fields of a lead; with ``status_id`` it moves."""
        changes = await json_object(request)
        lead_id = _id(request, "lead_id")
        at = self._taken_time(changes, "updated_at")
        with errors_answered("lead"):
            self._store.leads.update(lead_id, updated_at=at)
            if "status_id" in changes:
                self._store.move_lead(
                    lead_id,
                    changes.pop("status_id"),
                    at,
                    pipeline_id=changes.pop("pipeline_id", None),
                    loss_reason_id=changes.pop("loss_reason_id", None),
                )
            self._store.leads.update(lead_id, **changes)
        return web.Response(status=204)

    async def remove_user(self, request: web.Request) -> web.Response:
        with errors_answered("user"):
            self._store.users.remove(_id(request, "user_id"))
        return web.Response(status=204)

    def _now(self) -> int:
        return int(self._sandbox.now())

    def _taken_time(self, fields: dict[str, Any], name: str) -> int:
        """Take the time out of a body."""
        at = fields.pop(name, self._now())
        if not isinstance(at, int):
            description = f"{name} has to be an integer, in Unix seconds."
            raise bad_request(description)
        return at


def _id(request: web.Request, name: str) -> int:
    return int(request.match_info[name])
