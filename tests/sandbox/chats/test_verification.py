"""The check of a signature, against the published worked example."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandbox.chats.verification import verify
from tests.sandbox.chats.example import (
    EMPTY_MD5,
    EXAMPLE,
    NOW,
    SECRET,
    SIGNATURE,
    signed,
)

if TYPE_CHECKING:
    from sandbox import Refusal, RequestParts


def refusal(request: RequestParts, now: float = NOW) -> Refusal:
    refused = verify(replace(request, at=now), SECRET)
    assert refused is not None
    return refused


def is_signed(request: RequestParts, now: float = NOW) -> bool:
    return verify(replace(request, at=now), SECRET) is None


def test_the_published_example_is_accepted() -> None:
    assert is_signed(EXAMPLE)


def test_header_names_are_read_in_any_case() -> None:
    headers = {name.upper(): value for name, value in EXAMPLE.headers.items()}
    assert is_signed(replace(EXAMPLE, headers=headers))


@pytest.mark.parametrize("name", list(EXAMPLE.headers))
def test_each_of_the_four_headers_has_to_be_there(name: str) -> None:
    headers = {key: value for key, value in EXAMPLE.headers.items() if key != name}
    refused = refusal(replace(EXAMPLE, headers=headers))
    assert (refused.status, name in refused.description) == (403, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Type", "Application/JSON"),
        ("Content-Type", ""),
        ("Content-MD5", EMPTY_MD5.upper()),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("Content-MD5", ""),
        ("Date", "2022-12-13T11:00:00+00:00"),
        ("Date", "Tue, 13 Dec 2022 11:00:00"),
        ("Date", "Tue, 13 Dec 2022 11:00:00 -0000"),
        ("Date", "Ter, 13 Dez 2022 11:00:00 +0000"),
        ("Date", "Mar, 13 Dec 2022 11:00:00 +0000"),
        ("Date", "Wed, 13 Dec 2022 11:00:00 +0000"),
        ("Date", "Tue, 32 Dec 2022 11:00:00 +0000"),
        ("Date", "1670929200"),
        ("Date", ""),
    ],
)
def test_a_wrong_header_is_forbidden_even_if_it_is_what_was_signed(
    name: str, value: str
) -> None:
    refused = refusal(signed(**{name: value}))
    assert (refused.status, name in refused.description) == (403, True)


def test_the_md5_is_the_one_of_the_body() -> None:
    body = b'{"a":1}'
    assert refusal(replace(EXAMPLE, body=body)).status == 403
    right = replace(
        signed(**{"Content-MD5": hashlib.md5(body, usedforsecurity=False).hexdigest()}),
        body=body,
    )
    assert is_signed(right)


@pytest.mark.parametrize("seconds", [-900, -1, 0, 899.5, 900])
def test_a_date_within_fifteen_minutes_is_fresh(seconds: float) -> None:
    assert is_signed(EXAMPLE, now=NOW + seconds)


@pytest.mark.parametrize("seconds", [-86_400, -901, 900.5, 901, 86_400])
def test_a_date_further_away_is_forbidden(seconds: float) -> None:
    assert refusal(EXAMPLE, now=NOW + seconds).status == 403


def test_the_time_zone_of_the_date_counts() -> None:
    assert is_signed(signed(Date="Tue, 13 Dec 2022 08:00:00 -0300"))
    assert refusal(signed(Date="Tue, 13 Dec 2022 11:00:00 -0300")).status == 403


@pytest.mark.parametrize(
    "signature",
    ["", "0" * 40, SIGNATURE.upper(), SIGNATURE[:-1], SIGNATURE + "é\udcff"],
)
def test_a_wrong_signature_is_forbidden(signature: str) -> None:
    headers = {**EXAMPLE.headers, "X-Signature": signature}
    assert refusal(replace(EXAMPLE, headers=headers)).status == 403


def test_a_signature_with_another_secret_is_forbidden() -> None:
    refused = verify(replace(EXAMPLE, at=NOW), SECRET[::-1])
    assert refused is not None
    assert refused.status == 403
