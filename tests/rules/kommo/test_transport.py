"""Answers that no library would send, on real sockets."""

from __future__ import annotations

import gzip
import zlib
from itertools import repeat
from typing import TYPE_CHECKING

import pytest
from requests.auth import HTTPBasicAuth

from tap_kommo_chats.kommo import host as rules
from tap_kommo_chats.kommo.connection import Connection
from tap_kommo_chats.kommo.failures import GivenUpError
from tap_kommo_chats.kommo.host import Host
from tap_kommo_chats.kommo.limiter import RequestLimiter
from tap_kommo_chats.kommo.route import route_to
from tap_kommo_chats.kommo.transport import BODY_AT_MOST
from tests.support.raw import RawServer, http_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = OK + b"Content-Encoding: gzip\r\n\r\n"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LONGEST_WAIT", 0.0)


def ask(server: RawServer, *paths: str) -> list[bytes]:
    """Ask for some things over one connection."""
    # Nothing here may hang on it.
    host = Host(server.url, "api_url", "tests/1", 60, RequestLimiter(0))
    auth = HTTPBasicAuth("any", "body")
    connection = Connection(host, route_to(host.url), "application/json", auth)
    return [connection.get(path, "", lambda got: got.content) for path in paths]


@pytest.mark.parametrize("status", [100, 101, 102, 103, 199])
def test_what_comes_before_an_answer_is_not_taken_for_it(status: int) -> None:
    def answer(head: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 %d Wait\r\nLink: </x>\r\n\r\n" % status
        yield http_answer(head.split(" ", 2)[1].encode())

    with RawServer(answer) as server:
        assert ask(server, "/a", "/b", "/c") == [b"/a", b"/b", b"/c"]


def endless(first: bytes, piece: bytes) -> Iterator[bytes]:
    yield first
    yield from repeat(piece)


ENDLESS: dict[str, Callable[[], Iterable[bytes]]] = {
    "100s": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "103s": lambda: repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "body": lambda: endless(OK + b"\r\n", b"x" * 65536),
    "chunks": lambda: endless(CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
    "a chunk of less than nothing": lambda: endless(CHUNKED + b"-1\r\n", b"x" * 65536),
    "words beside chunks": lambda: endless(
        CHUNKED, b"1;" + b"x" * 60000 + b"\r\n{\r\n"
    ),
    "trailers": lambda: endless(
        CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: " + b"y" * 60000 + b"\r\n"
    ),
    "packed nothing": lambda: endless(
        PACKED + gzip.compress(b"")[:10],
        zlib.compressobj(wbits=-15).flush(zlib.Z_FULL_FLUSH) * 10000,
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_end_is_given_up_at_once(what: str) -> None:
    def answer(_: str) -> Iterable[bytes]:
        return ENDLESS[what]()

    with RawServer(answer) as server:
        with pytest.raises(GivenUpError, match="larger than any page can be"):
            ask(server, "/")

        assert len(server.requests) == 1


BROKEN = {
    "a line of a chunk without end": [CHUNKED, b"1" * 1_000_000],
    "a chunk of less than no bytes": [CHUNKED, b"-5\r\n{}"],
    "a chunk of no number": [CHUNKED, b"zz\r\n{}"],
    "200 headers": [OK, b"X: y\r\n" * 200, b"\r\n"],
    "a long header": [OK, b"X: ", b"y" * 70_000, b"\r\n\r\n"],
    "two lengths": [OK, b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"],
    "no gzip": [http_answer(b"{}", "Content-Encoding: gzip")],
    "status 2000": [http_answer(b"{}", status="2000 OK")],
    "status -1": [http_answer(b"{}", status="-1 OK")],
    "HTTP/9": [http_answer(b"{}", version="HTTP/9.9")],
    "nothing": [b""],
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_answer_that_is_broken_is_told_in_a_line(what: str) -> None:
    def answer(_: str) -> Iterator[bytes]:
        yield from BROKEN[what]
        raise OSError  # so ends the connection

    with (
        RawServer(answer) as server,
        pytest.raises(
            GivenUpError, match="broke the connection off: check the network"
        ),
    ):
        ask(server, "/")


@pytest.mark.parametrize("packing", ["gzip, gzip", "br", "zstd", "gzip;q=1"])
def test_what_is_packed_in_a_way_nobody_asked_for_stays_as_it_is(packing: str) -> None:
    body = gzip.compress(b"{}")

    with RawServer(
        lambda _: http_answer(body, f"Content-Encoding: {packing}")
    ) as server:
        assert ask(server, "/") == [body]
        assert "Accept-Encoding: gzip, deflate" in server.requests[0]


@pytest.mark.parametrize("packing", ["gzip", "GZIP", "deflate"])
def test_a_packed_answer_is_unpacked(packing: str) -> None:
    body = zlib.compress(b"{}") if packing == "deflate" else gzip.compress(b"{}")

    with RawServer(
        lambda _: http_answer(body, f"Content-Encoding: {packing}")
    ) as server:
        assert ask(server, "/") == [b"{}"]


def test_an_answer_that_unpacks_to_more_than_any_is_given_up() -> None:
    body = gzip.compress(b" " * (BODY_AT_MOST + 1))

    with (
        RawServer(lambda _: http_answer(body, "Content-Encoding: gzip")) as server,
        pytest.raises(GivenUpError, match="larger than any page can be"),
    ):
        ask(server, "/")


def test_the_largest_answer_is_read_however_it_is_cut_into_chunks() -> None:
    body = b"0123456789abcdef" * (BODY_AT_MOST // 16)
    chunks = (b"10\r\n%b\r\n" % body[:16]) * (len(body) // 16)

    with RawServer(lambda _: CHUNKED + chunks + b"0\r\n\r\n") as server:
        assert ask(server, "/") == [body]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "cookie",
    ["a=b", "a=b; max-age=" + "9" * 500, "a=b; expires=Thu, 01 Jan 99999 0:0:0 GMT"],
    ids=["plain", "age", "date"],
)
def test_cookies_are_neither_read_nor_sent(cookie: str) -> None:
    with RawServer(lambda _: http_answer(b"{}", f"Set-Cookie: {cookie}")) as server:
        ask(server, "/a", "/b")

        assert len(server.requests) == 2
        assert not [head for head in server.requests if "cookie" in head.lower()]
