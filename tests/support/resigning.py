"""A proxy that signs TLS anew, as those of companies do."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

_REQUEST = (
    *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
    *("-keyout", "key.pem", "-out", "cert.pem"),
)


class ResigningProxy:
    """Leads whatever it is asked for to a server on this machine, under its own name.

    A context manager: it serves within the block. Needs the command `openssl`.

    Attributes:
        bundle: The file of its CA.
    """

    def __init__(self, host: str, to_port: int, folder: Path) -> None:
        """Make a certificate.

        Args:
            host: The host that it stands for.
            to_port: Where it leads, on this machine.
            folder: Gets key and certificate.
        """
        openssl = shutil.which("openssl")
        assert openssl
        subprocess.run(
            [
                *(openssl, *_REQUEST, "-subj", f"/CN={host}"),
                *("-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        self.bundle = folder / "cert.pem"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.bundle, folder / "key.pem")
        self._to_port = to_port
        self._socket = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Start to serve."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to take connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += client.recv(65536)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with (
                self._context.wrap_socket(client, server_side=True) as tls,
                socket.create_connection(("127.0.0.1", self._to_port)) as server,
            ):
                back = threading.Thread(
                    target=_pass_on, args=(server, tls), daemon=True
                )
                back.start()
                _pass_on(tls, server)
                back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := source.recv(65536):
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)
