"""The sandbox's check of a request, against the published worked example."""

# ruff: noqa: S324 - Kommo asks for MD5

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from sandbox.verification import PageRequest, Refusal, RequestParts, check

SECRET = "fb50586ff7b68cd831fe0ef356345903f644c0d2"  # noqa: S105 - published example
SCOPE_ID = "f62a0162-46a7-430e-b06c-0ef798d76a21_52fd2a28-d2eb-4bd8-b862-a67934927b38"
CHAT_ID = "30477717-9f3c-4d3f-8101-60327e14dc48"
PATH = f"/v2/origin/custom/{SCOPE_ID}/chats/{CHAT_ID}/history"
DATE = "Tue, 13 Dec 2022 11:00:00 +0000"
NOW = datetime(2022, 12, 13, 11, tzinfo=timezone.utc).timestamp()
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SIGNATURE = "2a2593df86235c44943a40ce35409d18bda5778c"
EXAMPLE = RequestParts(
    method="GET",
    target=PATH + "?offset=0&limit=50",
    headers={
        "Date": DATE,
        "Content-Type": "application/json",
        "Content-MD5": EMPTY_MD5,
        "X-Signature": SIGNATURE,
    },
)


def answer(request: RequestParts, now: float = NOW) -> PageRequest | Refusal:
    return check(request, secret=SECRET, scope_id=SCOPE_ID, now=now)


def refusal(request: RequestParts, now: float = NOW) -> Refusal:
    answered = answer(request, now)
    assert isinstance(answered, Refusal)
    return answered


def signed(path: str = PATH, **changes: str) -> RequestParts:
    """Sign a GET of a path, with some headers changed before it is signed."""
    headers = {**EXAMPLE.headers, **changes}
    text = "\n".join(
        (
            "GET",
            headers["Content-MD5"],
            headers["Content-Type"],
            headers["Date"],
            path,
        )
    )
    headers["X-Signature"] = hmac.new(
        SECRET.encode(), text.encode(), hashlib.sha1
    ).hexdigest()
    return replace(EXAMPLE, target=path + "?offset=0&limit=50", headers=headers)


def with_query(query: str) -> RequestParts:
    return replace(EXAMPLE, target=PATH + query)


def test_the_published_example_is_accepted() -> None:
    assert answer(EXAMPLE) == PageRequest(CHAT_ID, 0, 50)


def test_header_names_are_read_in_any_case() -> None:
    headers = {name.upper(): value for name, value in EXAMPLE.headers.items()}
    assert answer(replace(EXAMPLE, headers=headers)) == PageRequest(CHAT_ID, 0, 50)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        PATH + "/",
        PATH.removesuffix("/history"),
        PATH.replace("/v2/", "/v1/"),
        PATH.replace("/v2/", "//v2/"),
        PATH.replace(CHAT_ID, ""),
        "http://localhost" + PATH,
    ],
)
def test_another_path_is_not_found(target: str) -> None:
    assert refusal(replace(EXAMPLE, target=target)).status == 404


def test_another_scope_is_not_found() -> None:
    assert refusal(signed(PATH.replace(SCOPE_ID, SCOPE_ID[::-1]))).status == 404


@pytest.mark.parametrize("method", ["POST", "HEAD", "get"])
def test_another_method_is_not_allowed(method: str) -> None:
    assert refusal(replace(EXAMPLE, method=method)).status == 405


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
    right = replace(signed(**{"Content-MD5": hashlib.md5(body).hexdigest()}), body=body)
    assert isinstance(answer(right), PageRequest)


@pytest.mark.parametrize("seconds", [-900, -1, 0, 899.5, 900])
def test_a_date_within_fifteen_minutes_is_fresh(seconds: float) -> None:
    assert isinstance(answer(EXAMPLE, now=NOW + seconds), PageRequest)


@pytest.mark.parametrize("seconds", [-86_400, -901, 900.5, 901, 86_400])
def test_a_date_further_away_is_forbidden(seconds: float) -> None:
    assert refusal(EXAMPLE, now=NOW + seconds).status == 403


def test_the_time_zone_of_the_date_counts() -> None:
    assert isinstance(
        answer(signed(Date="Tue, 13 Dec 2022 08:00:00 -0300")), PageRequest
    )
    assert refusal(signed(Date="Tue, 13 Dec 2022 11:00:00 -0300")).status == 403


@pytest.mark.parametrize(
    "signature",
    ["", "0" * 40, SIGNATURE.upper(), SIGNATURE[:-1], SIGNATURE + "é\udcff"],
)
def test_a_wrong_signature_is_forbidden(signature: str) -> None:
    headers = {**EXAMPLE.headers, "X-Signature": signature}
    assert refusal(replace(EXAMPLE, headers=headers)).status == 403


def test_a_signature_with_another_secret_is_forbidden() -> None:
    other = check(EXAMPLE, secret=SECRET[::-1], scope_id=SCOPE_ID, now=NOW)
    assert isinstance(other, Refusal)
    assert other.status == 403


def test_the_query_is_not_part_of_what_is_signed() -> None:
    assert answer(with_query("?limit=7&offset=49")) == PageRequest(CHAT_ID, 49, 7)


def test_the_path_is_signed_as_it_came_and_decoded_afterwards() -> None:
    raw = PATH.replace(CHAT_ID, "vendas%20s%C3%A3o%2fpaulo%2B1")
    assert answer(signed(raw)) == PageRequest("vendas são/paulo+1", 0, 50)
    for other in ("vendas são/paulo+1", "vendas%20s%c3%a3o%2Fpaulo%2B1"):
        on_the_wire = replace(signed(PATH.replace(CHAT_ID, other)), target=raw)
        assert refusal(on_the_wire).status == 403


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?offset=0",
        "?limit=50",
        "?offset=&limit=50",
        "?offset=-1&limit=50",
        "?offset=2147483648&limit=50",
        "?offset=1.0&limit=50",
        "?offset=+1&limit=50",
        "?offset=1_0&limit=50",
        "?offset=%D9%A1&limit=50",
        "?offset=0&offset=50&limit=50",
        "?offset=0&limit=0",
        "?offset=0&limit=51",
        "?offset=0&limit=-1",
        "?offset=0&limit=all",
        "?offset=0&limit=" + "9" * 5000,
    ],
)
def test_an_offset_or_limit_out_of_bounds_is_a_bad_request(query: str) -> None:
    assert refusal(with_query(query)).status == 400


@pytest.mark.parametrize(("offset", "limit"), [(0, 1), (0, 50), (2**31 - 1, 50)])
def test_the_bounds_themselves_are_accepted(offset: int, limit: int) -> None:
    asked = answer(with_query(f"?offset={offset}&limit={limit}"))
    assert asked == PageRequest(CHAT_ID, offset, limit)


def test_the_first_problem_in_order_decides() -> None:
    unsigned: RequestParts = RequestParts("POST", PATH + "?limit=x", headers={})
    assert refusal(replace(unsigned, target="/")).status == 404
    assert refusal(unsigned).status == 405
    assert refusal(replace(unsigned, method="GET")).status == 403


def test_a_refusal_keeps_what_was_readable_and_quotes_no_signature() -> None:
    headers = {**EXAMPLE.headers, "X-Signature": SIGNATURE[::-1]}
    refused = refusal(
        RequestParts("GET", PATH + "?offset=49&limit=many", headers=headers)
    )
    assert refused.conversation_id == CHAT_ID
    assert (refused.offset, refused.limit) == (49, None)
    for kept_back in (SECRET, SIGNATURE, SIGNATURE[::-1]):
        assert kept_back not in repr(refused)
