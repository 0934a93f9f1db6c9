"""A web application on a port of this machine, served by a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

_SHUTDOWN_SECONDS = 1.0
# Hundreds of clients may connect at once. Those beyond would try again only after a
# second, and look slow.
_BACKLOG = 1024


class LoopbackServer:
    """Serves an application on a loopback address, between ``start`` and ``stop``."""

    def __init__(
        self, app: Callable[[], web.Application], host: str, port: int
    ) -> None:
        """Take what to serve and where.

        Args:
            app: Makes the application, each time the server starts.
            host: The loopback address to bind to.
            port: The port to bind to; 0 picks a free one, which stays the same.

        Raises:
            ValueError: ``host`` is not a loopback address.
        """
        self._app = app
        self._host = _loopback_address(host)
        self._port = port
        self._loop: asyncio.AbstractEventLoop
        self._runner: web.AppRunner
        self._thread: threading.Thread

    @property
    def url(self) -> str:
        """The server's address, with no slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
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

    def stop(self) -> None:
        """Stop to serve and close all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        self._runner = web.AppRunner(
            self._app(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
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
