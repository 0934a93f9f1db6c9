"""Asking a sandbox for pages, signed as they have to be."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests

from sandbox import ConversationStore

if TYPE_CHECKING:
    from sandbox import Row, Sandbox

TIMEOUT = 10


def row(number: int) -> Row:
    return {
        "timestamp": 1_700_000_000 + number,
        "sender": {"id": "s"},
        "message": {"id": f"m{number}", "type": "text", "text": "olá 👩‍🚀"},
    }


def store_with(count: int, chat: str = "chat") -> ConversationStore:
    store = ConversationStore()
    for number in range(count):
        store.add(chat, row(number))
    return store


def path_of(sandbox: Sandbox, encoded_chat: str) -> str:
    return f"/v2/origin/custom/{sandbox.scope_id}/chats/{encoded_chat}/history"


def headers_for(sandbox: Sandbox, path: str, **changes: str) -> dict[str, str]:
    date = format_datetime(datetime.now(timezone.utc))
    md5 = "d41d8cd98f00b204e9800998ecf8427e"
    text = f"GET\n{md5}\napplication/json\n{date}\n{path}"
    signature = hmac.new(sandbox.secret.encode(), text.encode(), hashlib.sha1)
    return {
        "Date": date,
        "Content-Type": "application/json",
        "Content-MD5": md5,
        "X-Signature": signature.hexdigest(),
        **changes,
    }


def get(
    sandbox: Sandbox,
    chat: str = "chat",
    offset: int | str = 0,
    limit: int | str = 50,
    **changes: str,
) -> requests.Response:
    path = path_of(sandbox, quote(chat, safe=""))
    with requests.Session() as session:
        return session.get(
            f"{sandbox.url}{path}?offset={offset}&limit={limit}",
            headers=headers_for(sandbox, path, **changes),
            timeout=TIMEOUT,
        )


def ids(response: requests.Response) -> list[str]:
    return [row["message"]["id"] for row in response.json()["messages"]]


def control(
    sandbox: Sandbox, method: str, path: str, body: object = None
) -> requests.Response:
    with requests.Session() as session:
        return session.request(
            method, f"{sandbox.url}/_sandbox{path}", json=body, timeout=TIMEOUT
        )
