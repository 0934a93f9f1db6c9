"""Answers that go out slowly, in part, or torn off."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox import ConversationStore, Sandbox
from tests.sandbox.misbehaving import (
    connected,
    misbehaving,
    promised,
    read_to_the_end,
    request_for,
    struck,
    torn,
    whole_page,
)
from tests.sandbox.requesting import TIMEOUT, get, headers_for, path_of, row, store_with

ROOT = Path(__file__).parents[2]


def test_reset_before_resets_with_no_byte_sent() -> None:
    with misbehaving(reset_before=1) as sandbox:
        assert torn(sandbox) == (b"", b"", "RST")
        assert struck(sandbox) == [(0, "reset_before")]


def test_reset_within_resets_after_the_headers_and_half_the_body() -> None:
    page = whole_page()
    with misbehaving(reset_within=1) as sandbox:
        head, body, end = torn(sandbox)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (promised(head), body, end) == (len(page), page[: len(page) // 2], "RST")
        assert struck(sandbox) == [(0, "reset_within")]


def test_truncated_closes_properly_after_half_the_body() -> None:
    page = whole_page()
    with misbehaving(truncated=1) as sandbox:
        head, body, end = torn(sandbox)
        assert (promised(head), body, end) == (len(page), page[: len(page) // 2], "FIN")
        assert struck(sandbox) == [(0, "truncated")]


def test_a_trickled_body_arrives_whole_and_slowly() -> None:
    with misbehaving(store_with(1), trickle=1, trickle_seconds=0.002) as sandbox:
        begun = time.monotonic()
        response = get(sandbox)
        assert time.monotonic() - begun >= (len(response.content) - 1) * 0.002
        assert response.json() == {"messages": [row(0)]}
        assert struck(sandbox) == [(200, "trickle")]


def test_headers_come_at_once_before_a_trickled_body() -> None:
    with misbehaving(trickle=1, trickle_seconds=TIMEOUT) as sandbox:
        with connected(sandbox) as connection:
            connection.sendall(request_for(sandbox))
            received = b""
            while not received.endswith(b"\r\n\r\n{"):
                received += connection.recv(65_536)
        assert promised(received) == len(whole_page())


def test_headers_trickle_if_told_so() -> None:
    with (
        misbehaving(
            trickle=1, trickle_seconds=TIMEOUT, trickle_headers=True
        ) as sandbox,
        connected(sandbox) as connection,
    ):
        connection.sendall(request_for(sandbox))
        # The next byte is ten seconds away.
        assert connection.recv(65_536) == b"H"


def test_trickled_headers_are_those_of_any_answer() -> None:
    with Sandbox(store_with(1)) as plain:
        expected = get(plain).headers
    with misbehaving(
        store_with(1), trickle=1, trickle_seconds=0, trickle_headers=True
    ) as sandbox:
        headers = get(sandbox).headers
    assert set(headers) == set(expected) - {"Server"}
    assert headers["Content-Type"] == expected["Content-Type"]
    assert headers["Content-Length"] == expected["Content-Length"]


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"trickle": 1, "trickle_seconds": 0},
        {"trickle": 1, "trickle_seconds": 0, "trickle_headers": True},
        {"cut_json": 1},
        {"too_many": 1},
    ],
)
def test_a_complete_answer_leaves_the_connection_open(faults: dict[str, Any]) -> None:
    with misbehaving(store_with(1), **faults) as sandbox:
        connection = http.client.HTTPConnection(sandbox.url[7:], timeout=TIMEOUT)
        path = path_of(sandbox, "chat")
        used = set()
        for _ in range(3):
            connection.request(
                "GET", path + "?offset=0&limit=50", headers=headers_for(sandbox, path)
            )
            used.add(connection.sock.getsockname())
            connection.getresponse().read()
        connection.close()
    assert len(used) == 1


def test_a_trickled_answer_closes_the_connection_if_asked_to() -> None:
    with misbehaving(store_with(1), trickle=1, trickle_seconds=0) as sandbox:
        head, body, end = torn(sandbox, Connection="close")
    assert b"\r\nConnection: close" in head
    assert (len(body), end) == (promised(head), "FIN")


def test_a_client_that_leaves_a_trickling_answer_leaves_no_trace_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        misbehaving(trickle=1, trickle_seconds=0.001) as sandbox,
        connected(sandbox) as connection,
    ):
        connection.sendall(request_for(sandbox))
        connection.recv(1)
    # By now the sandbox has sent all, or noticed.
    assert caplog.records == []


def test_torn_connections_leave_no_trace_on_standard_error() -> None:
    shares = dict.fromkeys(("reset_before", "reset_within", "truncated"), 0.3)
    faults = {**shares, "trickle": 0.2, "trickle_seconds": 0.0001, "latency": 0.01}
    command = [
        sys.executable,
        *("-W", "always::ResourceWarning", "-m", "sandbox", "--port", "0"),
    ]
    command += ["--conversations", "9", "--messages", "1"]
    # Told so, Python warns of everything left open.
    with subprocess.Popen(
        [*command, "--faults", json.dumps(faults)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip("\n") for _ in range(5)]
            settings = dict(line.split("=", 1) for line in lines[:4])
            chats = json.loads(settings["TAP_KOMMO_CHATS_CONVERSATION_IDS"])
            host, _, port = settings["TAP_KOMMO_CHATS_API_URL"][7:].rpartition(":")
            # Only to sign for the one that runs elsewhere.
            signer = Sandbox(ConversationStore())
            ends = set()
            for number in range(60):
                with socket.create_connection((host, int(port)), TIMEOUT) as connection:
                    request = request_for(signer, chats[number % 9], Connection="close")
                    connection.sendall(request)
                    # Every third client leaves at once.
                    if number % 3:
                        ends.add(read_to_the_end(connection)[1])
            process.send_signal(signal.SIGTERM)
            rest, errors = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")
    assert ends == {"FIN", "RST"}
