"""A hostile server: what it does, what the tap says, how it exits, in how much memory.

Each act is one line of `CHATS`, `CRM` or `LISTS`: what is answered, what is said, and
the exit code. The tap runs as a command, in a process of its own, with eight threads.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox import CRM_TOKEN, OWN_ORIGIN
from tap_kommo_chats.kommo.large import LARGE, VALUES_AT_MOST
from tap_kommo_chats.kommo.pagination import ROWS_AT_MOST
from tap_kommo_chats.kommo.transport import BODY_AT_MOST
from tests.support.marks import LONG
from tests.support.memory import STATUS, Measured, run_measured
from tests.support.raw import RawServer, http_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    Answer: TypeAlias = Callable[[str], bytes | Iterable[bytes | None] | None]

pytestmark = [
    pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells"),
    LONG,
]

MB_AT_MOST = 200
LOG_AT_MOST = 50_000
CONVERSATIONS = 12
"""More than there are threads."""

# A little is left for what stands around it.
WHOLE = BODY_AT_MOST - 300
SCOPE = "scope_30477717-9f3c-4d3f-8101-60327e14dc48"
OTHER = "2f9c4b1e-7d35-4a86-9c0e-b85d1f6a3e27"
TIME_MS = 1_700_000_000_000
HOSTILE = "x\n1999-01-01 00:00:00,000 | INFO     | forged\r\x1b[31m\u202e\u2028y"


@dataclass(frozen=True)
class Act:
    """What a server does, and what comes of it.

    Attributes:
        answer: What it answers to the head of a request.
        says: What is said in the log, among else.
        code: The exit code.
        messages: How many messages arrive.
        settings: More settings.
    """

    answer: Answer
    says: str
    code: int = 1
    messages: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


# What the Chats API answers


def of_both(answer: bytes | Iterable[bytes | None] | None) -> Answer:
    return lambda _: answer


def packed(body: bytes) -> Answer:
    return of_both(http_answer(gzip.compress(body, 1), "Content-Encoding: gzip"))


def page(*rows: bytes) -> bytes:
    return b'{"messages":[%b]}' % b",".join(rows)


def row(name: str = "m", sent_ms: int = TIME_MS, more: str = "") -> bytes:
    """Write a row out; `more` stands before its end."""
    time = f'"timestamp":{sent_ms // 1000},"msec_timestamp":{sent_ms}'
    return f'{{{time},"message":{{"id":"{name}"}}{more}}}'.encode()


def one_row(value: bytes) -> bytes:
    return page(b'{"timestamp":1,"message":{"id":"m"},"sender":%b}' % value)


def many(value: bytes, size: int) -> bytes:
    return b"[%b]" % b",".join([value] * (size // (len(value) + 1)))


def names(number: int) -> bytes:
    return b"{%b}" % b",".join(b'"name%d":1.5' % each for each in range(number))


def offset(head: str) -> int:
    found = re.search(r"offset=(\d+)", head)
    return int(found[1]) if found else 0


def rows_from(begin: int, of: int = 50) -> bytes:
    return page(*(row(f"m{n}", TIME_MS - n) for n in range(begin, begin + of)))


def bad_rows_without_end(head: str) -> bytes:
    begin = offset(head)
    if begin > 20 * ROWS_AT_MOST:
        return http_answer(page())
    return http_answer(page(*(b"[%d]" % n for n in range(begin, begin + 2500))))


def once(first: bytes | None, then: bytes) -> Answer:
    answers: Iterator[bytes | None] = iter([first])
    return lambda _: next(answers, then)


def error(status: str, body: object, *headers: str) -> bytes:
    return http_answer(json.dumps(body).encode(), *headers, status=status)


GOOD = http_answer(page(row()))
TOO_LARGE = "larger than any page can be"
ONE = {"conversation_ids": ["c0"]}
CUT = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", None]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

CHATS: dict[str, Act] = {
    # Connections and headers
    "closes every connection": Act(of_both(None), "broke the connection off"),
    "answers with noise": Act(
        of_both(b"\x00\xff" * 70_000), "broke the connection off"
    ),
    "sends headers without end": Act(
        of_both([b"HTTP/1.1 200 OK\r\n", *repeat(b"A: %b\r\n" % (b"a" * 99), 9999)]),
        "broke the connection off",
    ),
    "sends a header of a megabyte": Act(
        of_both(http_answer(page(), f"A: {'a' * 1_000_000}")),
        "broke the connection off",
    ),
    "has cookies kept, in each answer others": Act(
        lambda head: http_answer(
            page(row()),
            *(f"Set-Cookie: {len(head)}{n}={'c' * 999}" for n in range(60)),
        ),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "gives a length that is none": Act(
        of_both([b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", None]),
        "has no list of messages",
    ),
    "cuts every body": Act(of_both(CUT), "broke the connection off", settings=ONE),
    "sends a body without end": Act(
        of_both([CHUNKED, *repeat(b"10000\r\n%b\r\n" % (b" " * 65_536), 800)]),
        TOO_LARGE,
    ),
    "sends a chunk's line without end": Act(
        of_both([CHUNKED, *repeat(b"0" * 65_536, 800)]), "broke the connection off"
    ),
    "says that a body is packed, and it is not": Act(
        of_both(http_answer(page(), "Content-Encoding: gzip")),
        "broke the connection off",
    ),
    "leads to another place": Act(
        of_both(http_answer(b"", "Location: http://169.254.0.1/", status="302 Found")),
        "redirects are not followed: check api_url",
    ),
    # Large answers that are taken
    "sends a text of 4 MB": Act(
        of_both(http_answer(one_row(b'"%b"' % (b"a" * WHOLE)))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "sends a text of 4 MB with an emoji": Act(
        of_both(http_answer(one_row('"\U0001f600'.encode() + b"a" * WHOLE + b'"'))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "sends a text of 4 MB with half a pair": Act(
        of_both(
            http_answer(
                one_row(
                    '"\\ud83d\U0001f600'.encode() + b"a" * (WHOLE - 9) + b'"',
                )
            )
        ),
        "halves of surrogate pairs",
        code=0,
        messages=CONVERSATIONS,
    ),
    "sends many lists": Act(
        of_both(http_answer(one_row(many(b"[]", 3 * (VALUES_AT_MOST // 2 - 10))))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "sends many names": Act(
        of_both(http_answer(one_row(names(VALUES_AT_MOST // 2 - 10)))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "sends many numbers": Act(
        of_both(http_answer(one_row(many(b"1.5", LARGE - 200)))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    # Answers that are too large
    "packs 4 MB of rows that are lists": Act(
        packed(page(*[b"[]"] * (WHOLE // 3))), TOO_LARGE
    ),
    "packs 4 MB of rows that are objects": Act(
        packed(page(*[b"{}"] * (WHOLE // 3))), TOO_LARGE
    ),
    "sends a row too many": Act(packed(page(*[b"[]"] * (ROWS_AT_MOST + 1))), TOO_LARGE),
    "packs 4 MB of lists": Act(packed(one_row(many(b"[]", WHOLE))), TOO_LARGE),
    "packs 4 MB of numbers": Act(packed(one_row(many(b"1.5", WHOLE))), TOO_LARGE),
    "packs 4 MB of names": Act(packed(one_row(names(WHOLE // 20))), TOO_LARGE),
    "packs 4 MB of brackets": Act(
        packed(page(b"[" * (WHOLE // 2) + b"]" * (WHOLE // 2))), TOO_LARGE
    ),
    "packs 33 MB": Act(packed(page(*[b"[]"] * 11_000_000)), TOO_LARGE),
    # What is no history
    "answers with a web page": Act(
        of_both(http_answer(b"<html></html>", "Content-Type: text/html")),
        "is not JSON, or was cut: check that api_url",
        settings=ONE,
    ),
    "answers with an object of another kind": Act(
        of_both(http_answer(b'{"messages":{}}')), "has no list of messages"
    ),
    "nests a thousand deep": Act(
        of_both(http_answer(page(b"[" * 5000 + b"]" * 5000))), "nested too deep"
    ),
    "sends what is no UTF-8": Act(
        of_both(http_answer(page(b'"\xff"'))), "is not JSON, or was cut", settings=ONE
    ),
    # Rows
    "sends bad rows without end": Act(
        bad_rows_without_end, "row(s) could not be delivered", settings=ONE
    ),
    "sends rows without an id": Act(
        of_both(http_answer(page(*[b'{"message":{}}'] * 9))),
        "no usable message.id and was not delivered",
        settings=ONE,
    ),
    "sends numbers that no computer can write out": Act(
        of_both(http_answer(page(row(more=',"extra":1e999999999')))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "sends one name a thousand times": Act(
        of_both(http_answer(page(row(more=',"a":1' * 1000)))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "sends messages of the year 9999": Act(
        of_both(http_answer(page(row(sent_ms=253_402_300_799_000)))),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    # Pages
    "gives the same page for every offset": Act(
        of_both(http_answer(rows_from(0))), "Conversation c0", messages=50, settings=ONE
    ),
    "gives two pages in turn": Act(
        lambda head: http_answer(rows_from(49 * (offset(head) // 49 % 2))),
        "Conversation c0",
        messages=99,
        settings=ONE,
    ),
    # Refusals
    "says that the address is blocked": Act(
        of_both(
            http_answer(b"<html>", "Content-Type: text/html", status="403 Forbidden")
        ),
        "address is blocked",
    ),
    "refuses the signature, with text that forges lines": Act(
        of_both(error("403 Forbidden", {"title": HOSTILE, "error_type": HOSTILE})),
        "the signature was refused",
    ),
    "refuses one conversation of many": Act(
        lambda head: error("403 Forbidden", {}) if "/c5/" in head else GOOD,
        "Conversation c5",
        messages=CONVERSATIONS - 1,
    ),
    "refuses the first conversation": Act(
        lambda head: error("403 Forbidden", {}) if "/c0/" in head else GOOD,
        "Conversation c0",
        messages=CONVERSATIONS - 1,
    ),
    "denies after 50 messages that there are any": Act(
        lambda head: (
            http_answer(rows_from(0))
            if offset(head) == 0
            else b"HTTP/1.1 204 No Content\r\n\r\n"
        ),
        "Conversation c0",
        messages=50,
        settings=ONE,
    ),
    "asks for a pause beyond the calendar": Act(
        once(error("429 Too Many Requests", {}, "Retry-After: 1e999"), GOOD),
        "Conversations read: 12",
        code=0,
        messages=CONVERSATIONS,
    ),
    "dates its answers beyond the calendar": Act(
        of_both(
            error("403 Forbidden", {}, "Date: Fri, 31 Dec 99999 23:59:60 +9999"),
        ),
        "the signature was refused",
    ),
}


# What the CRM answers


def crm(
    path: str, answer: Answer, then: Callable[[str], bytes] | None = None
) -> Answer:
    """Answer to a path of the CRM; else as one would in which nothing happened."""

    def answered(head: str) -> bytes | Iterable[bytes | None] | None:
        target = head.split()[1]
        if target.startswith(path):
            return answer(head)
        if target.startswith("/api/v4/account"):
            account = {"id": 5, "amojo_id": SCOPE.split("_")[1]}
            return http_answer(json.dumps(account).encode())
        if target.startswith("/api/v4/"):
            return then(head) if then else b"HTTP/1.1 204 No Content\r\n\r\n"
        return GOOD

    return answered


def page_of(head: str) -> int:
    query = parse_qs(urlsplit(head.split()[1]).query)
    return int(query.get("page", ["1"])[0])


def listed(
    name: str, rows: list[object], following: int | None = None, host: str = ""
) -> bytes:
    content: dict[str, object] = {"_embedded": {name: rows}}
    if following is not None:
        href = f"{host}/api/v4/{name}?page={following}"
        content["_links"] = {"next": {"href": href}}
    return http_answer(json.dumps(content).encode())


def talk(number: int, chat_id: str, origin: str = OWN_ORIGIN) -> dict[str, object]:
    return {"talk_id": number, "chat_id": chat_id, "origin": origin, "updated_at": 1}


HIGH = range(900, 1150)
EVENTS, TALKS, ACCOUNT = "/api/v4/events", "/api/v4/talks", "/api/v4/account"
ENDLESS = "pages of events go round without an end"

CRM: dict[str, Act] = {
    "leads events from A to B to A": Act(
        crm(EVENTS, lambda h: listed("events", [{"id": page_of(h)}], 3 - page_of(h))),
        ENDLESS,
    ),
    "gives empty pages of events without end": Act(
        crm(EVENTS, lambda head: listed("events", [], page_of(head) + 1)), ENDLESS
    ),
    "gives the same events without end": Act(
        crm(EVENTS, lambda head: listed("events", [{"id": 1}], page_of(head) + 1)),
        ENDLESS,
    ),
    "gives empty pages of talks without end": Act(
        crm(TALKS, lambda head: listed("talks", [], page_of(head) + 1)),
        "Conversations read: 0",
        code=0,
    ),
    "ends the list of talks early": Act(
        crm(TALKS, lambda _: listed("talks", [talk(n, "c0") for n in HIGH])),
        "may not have shown all",
        code=0,
        messages=1,
    ),
    "links to another host": Act(
        crm(
            TALKS,
            lambda head: (
                listed("talks", [talk(1, "c0")], 2, "http://169.254.0.1")
                if page_of(head) == 1
                else listed("talks", [talk(2, "c1")])
            ),
        ),
        "Conversations read: 2",
        code=0,
        messages=2,
    ),
    "gives a conversation a path for an id": Act(
        crm(TALKS, lambda _: listed("talks", [talk(1, "../../a"), talk(2, "c1")])),
        "1 chat event(s) lead to no conversation",
        code=0,
        messages=1,
    ),
    "names origins that forge lines": Act(
        crm(TALKS, lambda _: listed("talks", [talk(1, "c0", HOSTILE)])),
        "crm_origins match no talk of the account",
    ),
    "sends talks in absurd numbers": Act(
        crm(
            TALKS,
            lambda _: http_answer(b'{"_embedded":{"talks":%b}}' % many(b"{}", WHOLE)),
        ),
        f"{TOO_LARGE}: check crm_url",
    ),
    "takes one type of event not": Act(
        crm(
            EVENTS,
            lambda head: (
                error("400 Bad Request", {})
                if "talk_closed" in head
                else b"HTTP/1.1 204 No Content\r\n\r\n"
            ),
        ),
        "takes no events of type talk_closed",
        code=0,
    ),
    "takes no type of messages": Act(
        crm(
            EVENTS,
            lambda head: (
                error("400 Bad Request", {})
                if "going_chat_message" in head or "coming_chat_message" in head
                else b"HTTP/1.1 204 No Content\r\n\r\n"
            ),
        ),
        "400",
    ),
    "hides every talk": Act(
        crm(TALKS, of_both(error("403 Forbidden", {"title": HOSTILE}))), "403"
    ),
    "knows the token not": Act(
        crm("/api/v4/", of_both(error("401 Unauthorized", {}))), "crm_access_token"
    ),
    "wants to be paid": Act(
        crm("/api/v4/", of_both(error("402 Payment Required", {}))), "plan"
    ),
    "is another account's": Act(
        crm(ACCOUNT, of_both(http_answer(b'{"amojo_id":"%b"}' % OTHER.encode()))),
        "take both from one account",
    ),
    "tells the account in noise": Act(
        crm(ACCOUNT, of_both(http_answer(b"[" * 9000))), "check that crm_url"
    ),
}
for body in (b"{}", b'{"talk_id":1}', b"[]", b"1.5"):
    CRM[f"sends 4 MB of {body.decode()} for events"] = Act(
        crm(
            EVENTS,
            of_both(http_answer(b'{"_embedded":{"events":%b}}' % many(body, WHOLE))),
        ),
        f"{TOO_LARGE}: check crm_url",
    )


# What a server of the list of conversations answers


def list_of(body: bytes | Iterable[bytes | None], *headers: str) -> Answer:
    """Answer to what fsspec asks for the list, and to what is asked for a history."""

    def answered(head: str) -> bytes | Iterable[bytes | None]:
        if "/history" in head:
            return GOOD
        if isinstance(body, bytes):
            return http_answer(body, *headers)
        return body

    return answered


LISTS: dict[str, Act] = {
    "has a line of 30 MB": Act(
        list_of(b"c0\n" + b"c" * 30_000_000 + b"\nc1\n"),
        "Line 2 of conversations_file",
        messages=2,
    ),
    "sends one line without end": Act(
        list_of([CHUNKED, *repeat(b"10000\r\n%b\r\n" % (b"c" * 65_536), 1500)]),
        "conversations_file",
    ),
    "packs a line of 300 MB": Act(
        list_of(gzip.compress(b"c0\n" + b"c" * 300_000_000, 1)),
        "Line 2 of conversations_file",
        messages=1,
        settings={"conversations_file": "/list.txt.gz"},
    ),
    "cuts the list": Act(list_of(CUT), "conversations_file cannot be read"),
    "has no list": Act(
        lambda _: error("404 Not Found", {}), "conversations_file cannot be read"
    ),
}


@pytest.mark.parametrize("act", CHATS)
def test_a_chats_api_that(act: str, tmp_path: Path) -> None:
    scene = CHATS[act]
    ids = [f"c{number}" for number in range(CONVERSATIONS)]
    with RawServer(scene.answer) as server:
        settings = {"conversation_ids": ids, **scene.settings}
        assert_ends(run_at(server, tmp_path, settings), scene)


@pytest.mark.parametrize("act", CRM)
def test_a_crm_that(act: str, tmp_path: Path) -> None:
    scene = CRM[act]
    with RawServer(scene.answer) as server:
        settings = {
            "crm_url": server.url,
            "crm_access_token": CRM_TOKEN,
            "crm_origins": [OWN_ORIGIN],
        }
        assert_ends(run_at(server, tmp_path, settings), scene)


@pytest.mark.parametrize("act", LISTS)
def test_a_server_of_a_list_that(act: str, tmp_path: Path) -> None:
    scene = LISTS[act]
    place = scene.settings.get("conversations_file", "/list.txt")
    with RawServer(scene.answer) as server:
        settings = {"conversations_file": f"{server.url}{place}", "request_timeout": 5}
        assert_ends(run_at(server, tmp_path, settings), scene)


def run_at(server: RawServer, folder: Path, settings: dict[str, Any]) -> Measured:
    config = {
        "api_url": server.url,
        "scope_id": SCOPE,
        "channel_secret": "hush-hush",
        "requests_per_second": 0,
        **settings,
    }
    return run_measured(config, folder, waits=0.01)


def assert_ends(done: Measured, act: Act) -> None:
    log = done.log
    assert (act.says in log, done.code) == (True, act.code), log[-4000:]
    assert done.messages == act.messages
    assert done.peak_mb < MB_AT_MOST
    assert len(log) < LOG_AT_MOST
    assert "Traceback" not in log
    assert "hush-hush" not in log
    assert "\x1b" not in log
    assert not re.search(r"^1999-", log, re.MULTILINE)
