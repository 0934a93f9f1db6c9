"""The socket and the thread of a sandbox: how they start and stop."""

from __future__ import annotations

import gc
import socket
import threading
import time
from contextlib import ExitStack

import pytest
import requests

from sandbox import ConversationStore, Sandbox
from tests.sandbox.misbehaving import (
    connected,
    misbehaving,
    read_to_the_end,
    request_for,
)
from tests.sandbox.requesting import TIMEOUT, control, headers_for, path_of, store_with


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])  # noqa: S104 - is refused
def test_only_a_loopback_address_is_bound(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(ConversationStore(), host=host)


def test_localhost_is_the_loopback_address() -> None:
    with Sandbox(ConversationStore(), host="localhost") as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_an_error_at_the_start(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with (
        pytest.raises(OSError, match="address already in use"),
        Sandbox(ConversationStore(), port=port),
    ):
        pass


def test_the_port_is_free_once_it_has_stopped_even_with_a_client_connected() -> None:
    with requests.Session() as session:
        with Sandbox(store_with(1)) as sandbox:
            path = path_of(sandbox, "chat")
            session.get(
                f"{sandbox.url}{path}?offset=0&limit=50",
                headers=headers_for(sandbox, path),
                timeout=TIMEOUT,
            )
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), TIMEOUT).close()


def test_hundreds_of_requests_wait_at_once() -> None:
    # One after the other, they would take minutes.
    with misbehaving(latency=0.5) as sandbox, ExitStack() as stack:
        connections = [stack.enter_context(connected(sandbox)) for _ in range(300)]
        for connection in connections:
            connection.sendall(request_for(sandbox))
        for connection in connections:
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert len(sandbox.requests) == 300


def test_the_sandbox_stops_with_a_request_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrived = threading.Event()

    def clock() -> float:
        arrived.set()
        return time.time()

    with ExitStack() as stack:
        with misbehaving(latency=600) as sandbox:
            sandbox.clock = clock
            connection = stack.enter_context(connected(sandbox))
            connection.sendall(request_for(sandbox))
            assert arrived.wait(TIMEOUT)
        assert read_to_the_end(connection)[0] == b""
    # A task left behind is told of when it is collected.
    gc.collect()
    assert caplog.records == []


def test_the_sandbox_stops_with_a_request_waiting_whose_client_has_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrived = threading.Event()

    def clock() -> float:
        arrived.set()
        return time.time()

    with misbehaving(latency=600) as sandbox:
        sandbox.clock = clock
        with connected(sandbox) as connection:
            connection.sendall(request_for(sandbox))
            assert arrived.wait(TIMEOUT)
        # By the time this is answered, the sandbox knows that the client has left.
        control(sandbox, "GET", "/requests")
    gc.collect()
    assert caplog.records == []


def test_the_sandbox_stops_with_an_answer_trickling(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ExitStack() as stack:
        with misbehaving(
            trickle=1, trickle_headers=True, trickle_seconds=600
        ) as sandbox:
            connection = stack.enter_context(connected(sandbox))
            connection.sendall(request_for(sandbox))
            assert connection.recv(1) == b"H"
        assert read_to_the_end(connection)[0] == b""
    gc.collect()
    assert caplog.records == []
