"""How much memory the process takes, whatever a server answers."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest

from sandbox import CRM_TOKEN
from tap_kommo_chats.kommo.large import LARGE, VALUES_AT_MOST
from tap_kommo_chats.kommo.pagination import ROWS_AT_MOST
from tap_kommo_chats.kommo.transport import BODY_AT_MOST
from tests.support.memory import STATUS, run_measured
from tests.support.raw import RawServer, http_answer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells")

MB_AT_MOST = 200
CONVERSATIONS = 12
"""More than there are threads."""

# A little is left for what stands around it.
WHOLE = BODY_AT_MOST - 300


def page(*rows: bytes) -> bytes:
    return b'{"messages":[%b]}' % b",".join(rows)


def one_row(value: bytes) -> bytes:
    return page(b'{"timestamp":1,"message":{"id":"m"},"sender":%b}' % value)


def many(value: bytes, size: int) -> bytes:
    return b"[%b]" % b",".join([value] * (size // (len(value) + 1)))


def names(count: int) -> bytes:
    return b"{%b}" % b",".join(b'"name%d":1.5' % number for number in range(count))


TAKEN = {
    "a text": one_row(b'"%b"' % (b"a" * WHOLE)),
    "a text with an emoji": one_row('"\U0001f600'.encode() + b"a" * WHOLE + b'"'),
    "a text with half a pair": one_row(
        '"\\ud83d\U0001f600'.encode() + b"a" * (WHOLE - 9) + b'"'
    ),
    "lists": one_row(many(b"[]", 3 * (VALUES_AT_MOST // 2 - 10))),
    "names": one_row(names(VALUES_AT_MOST // 2 - 10)),
    "numbers, not large": one_row(many(b"1.5", LARGE - 200)),
}
"""What is read, though it is as large as can be."""

REFUSED = {
    "rows that are lists": page(*[b"[]"] * (WHOLE // 3)),
    "rows that are objects": page(*[b"{}"] * (WHOLE // 3)),
    "a few rows too many": page(*[b"[]"] * (ROWS_AT_MOST + 1)),
    "lists": one_row(many(b"[]", WHOLE)),
    "numbers": one_row(many(b"1.5", WHOLE)),
    "names": one_row(names(WHOLE // 20)),
    "deep lists": page(b"[" * (WHOLE // 2) + b"]" * (WHOLE // 2)),
    "too large": page(*[b"[]"] * 11_000_000),
}


def config_of(server: RawServer) -> dict[str, object]:
    return {
        "api_url": server.url,
        "scope_id": "scope",
        "channel_secret": "secret",
        "conversation_ids": [f"c{number}" for number in range(CONVERSATIONS)],
        "requests_per_second": 0,
    }


@pytest.mark.parametrize("what", TAKEN)
def test_large_answers_are_read_in_little_memory(what: str, tmp_path: Path) -> None:
    with RawServer(lambda _: http_answer(TAKEN[what])) as server:
        done = run_measured(config_of(server), tmp_path)

    assert done.code == 0, done.log
    # Of the messages, of the conversations, and of the run.
    assert done.records == 2 * CONVERSATIONS + 1
    assert done.peak_mb < MB_AT_MOST


@pytest.mark.parametrize("what", REFUSED)
def test_answers_that_are_too_large_are_refused_in_little_memory(
    what: str, tmp_path: Path
) -> None:
    packed = gzip.compress(REFUSED[what], 1)
    answer = http_answer(packed, "Content-Encoding: gzip")

    with RawServer(lambda _: answer) as server:
        done = run_measured(config_of(server), tmp_path)

    assert done.code == 1
    assert len(re.findall("larger than any page can be", done.log)) == CONVERSATIONS
    assert done.peak_mb < MB_AT_MOST


def test_bad_rows_without_end_fill_neither_memory_nor_log(tmp_path: Path) -> None:
    def answer(head: str) -> bytes:
        offset = int(re.search(r"offset=(\d+)", head)[1])  # type: ignore[index]
        if offset > 20 * ROWS_AT_MOST:
            return http_answer(page())
        return http_answer(page(*(b"[%d]" % n for n in range(offset, offset + 2500))))

    with RawServer(answer) as server:
        done = run_measured({**config_of(server), "conversation_ids": ["a"]}, tmp_path)

    assert done.code == 1
    assert len(done.log) < 50_000
    assert "row(s) could not be delivered" in done.log
    assert done.peak_mb < MB_AT_MOST


@pytest.mark.parametrize("value", [b"{}", b'{"talk_id":1}', b"[]", b"1.5"])
def test_a_crm_that_answers_too_much_is_refused_in_little_memory(
    value: bytes, tmp_path: Path
) -> None:
    body = b'{"_embedded":{"events":%b}}' % many(value, WHOLE)

    with RawServer(lambda _: http_answer(body)) as server:
        config = {
            **config_of(server),
            "crm_url": server.url,
            "crm_access_token": CRM_TOKEN,
            "crm_origins": ["amo.ext.1"],
        }
        done = run_measured(config, tmp_path)

    assert done.code == 1
    assert "larger than any page can be: check crm_url" in done.log
    assert done.peak_mb < MB_AT_MOST
