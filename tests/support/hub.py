"""A plugin hub for Meltano on this machine, with the loaders of this project."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.meltano_project import ROOT

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_PLUGINS = "/meltano/api/v1/plugins"
_VARIANT = "any"


class Hub:
    """Answers as Meltano's hub does. A context manager: it serves within the block."""

    def __init__(self) -> None:
        """Read which loaders there are."""
        project = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))
        self._loaders = {each["name"]: each for each in project["plugins"]["loaders"]}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    def __enter__(self) -> Self:
        """Start to serve."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to serve."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, path: str) -> dict[str, Any] | None:
        if path == f"{_PLUGINS}/loaders/index":
            return {
                name: {
                    "default_variant": _VARIANT,
                    "logo_url": None,
                    "variants": {_VARIANT: {"ref": f"{self.url}/{name}"}},
                }
                for name in self._loaders
            }
        loader = self._loaders.get(path.removeprefix("/"))
        if loader is None:
            return {} if path.endswith("/index") else None
        # What the project sets of it is the project's own.
        given = {name: value for name, value in loader.items() if name != "config"}
        return {**given, "variant": _VARIANT}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = hub._answer(self.path)
                body = json.dumps(answer).encode()
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's)
                pass

        return Handler
