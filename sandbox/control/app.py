"""All endpoints, as one application."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.control.bodies import bad_request
from sandbox.control.conversations import add_conversations
from sandbox.control.crm import add_crm
from sandbox.crm.terms import Terms
from sandbox.faults import Faults
from sandbox.options import from_json, to_json

if TYPE_CHECKING:
    from sandbox.control.controlled import Controlled


def control_app(sandbox: Controlled) -> web.Application:
    """Build the application to mount under ``/_sandbox/``.

    Args:
        sandbox: The sandbox to change and show.
    """
    app = web.Application()
    add_conversations(app.router, sandbox)
    add_crm(app.router, sandbox)
    control = _Control(sandbox)
    app.router.add_get("/requests", control.requests)
    app.router.add_get("/faults", control.faults)
    app.router.add_put("/faults", control.set_faults)
    app.router.add_get("/terms", control.terms)
    app.router.add_put("/terms", control.set_terms)
    return app


class _Control:
    def __init__(self, sandbox: Controlled) -> None:
        self._sandbox = sandbox

    async def requests(self, _request: web.Request) -> web.Response:
        by_status = Counter(seen.status for seen in self._sandbox.requests)
        return web.json_response(
            {
                "total": by_status.total(),
                "by_status": {str(status): by_status[status] for status in by_status},
            }
        )

    async def faults(self, _request: web.Request) -> web.Response:
        return _json(to_json(self._sandbox.faults))

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            self._sandbox.faults = from_json(Faults, await request.read(), "fault")
        except ValueError as error:
            raise bad_request(str(error)) from None
        return await self.faults(request)

    async def terms(self, _request: web.Request) -> web.Response:
        return _json(to_json(self._sandbox.crm.terms))

    async def set_terms(self, request: web.Request) -> web.Response:
        try:
            self._sandbox.crm.terms = from_json(Terms, await request.read(), "term")
        except ValueError as error:
            raise bad_request(str(error)) from None
        return await self.terms(request)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
