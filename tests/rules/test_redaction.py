"""A secret is taken out of a text, however it is written there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tap_kommo_chats.printable import escaped
from tap_kommo_chats.redaction import Redaction, url_secrets
from tap_kommo_chats.settings.secrets import secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable

WRITTEN: list[Callable[[str], str]] = [
    str,
    escaped,
    unquote,
    lambda text: quote(text, safe=""),
    lambda text: quote(unquote(text), safe=""),
    quote_plus,
    lambda text: json.dumps(text)[1:-1],
    lambda text: repr(text)[1:-1],
]


@given(st.text(min_size=4), st.sampled_from(WRITTEN))
def test_a_secret_is_hidden_however_it_is_written(
    secret: str, written: Callable[[str], str]
) -> None:
    secret = secret.strip()
    form = written(secret)
    assume(len(form) >= 4)

    # Nothing of it is in what stands around it.
    assert Redaction([secret])(f"\x00{form}\x00") == "\x00...\x00"


def test_of_two_secrets_the_longer_one_is_hidden_whole() -> None:
    assert Redaction(["hush", "hush-hush"])("a hush-hush, a hush") == "a ..., a ..."


@pytest.mark.parametrize("secrets", [[], [""], ["abc"], [" abc "]])
def test_what_is_too_short_to_be_a_secret_stays(secrets: list[str]) -> None:
    assert Redaction(secrets)("abc and more") == "abc and more"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://host/list.txt", []),
        ("list.txt", []),
        ("https://user:pass-word@host/list.txt", ["pass-word"]),
        ("https://user:pa%40ss@host/list.txt", ["pa%40ss"]),
        ("postgresql://user:pass@word@host/db", ["pass@word", "pass", "word"]),
        ("postgresql://user:pass/word@host/db", ["pass/word", "pass", "word"]),
        ("postgresql://user:pass?word@host/db", ["pass?word"]),
        ("postgresql://reader@host/db", []),
        ("https://0123456789abcdef@host/list.txt", ["0123456789abcdef"]),
        ("https://host/list.txt?sig=abcd", ["abcd", "sig=abcd"]),
        ("https://host/list.txt?a=12345678", ["12345678", "a=12345678"]),
        ("https://host/list.txt?X-Amz-SignedHeaders=host", []),
        ("postgresql://host/db?user=me&password=abcd", ["abcd"]),
        ("simplecache::https://user:pass-word@host/list.txt?sig=abcd", ["pass-word"]),
        ("zip://list.txt::https://user:pass-word@host/list.zip", ["pass-word"]),
    ],
)
def test_what_lets_somebody_in_is_found_in_a_url(url: str, secrets: list[str]) -> None:
    found = {text for text in url_secrets(url) if len(text) >= 4}

    assert found >= set(secrets)
    assert not found & {"host", "reader", "list.txt"}


def test_secrets_of_settings_are_found_by_the_schema() -> None:
    config = {
        "channel_secret": "a-secret",
        "crm_access_token": 12345678,
        "conversations_sql_url": "postgresql://user:pass-word@host/db",
        "conversations_file": "https://host/list.txt?sig=abcd",
        "scope_id": "a_b",
        "conversation_ids": ["a"],
        "request_timeout": 30,
    }

    found = secrets_of(config)

    assert found >= {"a-secret", "12345678", "pass-word", "abcd"}
    assert config["conversations_sql_url"] in found
    assert not found & {"a_b", "a", "30"}
