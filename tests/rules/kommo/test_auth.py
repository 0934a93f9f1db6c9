"""The signature of requests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import requests

from tap_kommo_chats.kommo.auth import (
    KommoAuthenticator,
    content_md5,
    http_date,
    signature,
    signed_headers,
    string_to_sign,
)

# The worked example that Kommo published.
SECRET = "fb50586ff7b68cd831fe0ef356345903f644c0d2"  # noqa: S105 (published)
DATE = "Tue, 13 Dec 2022 11:00:00 +0000"
MOMENT = datetime(2022, 12, 13, 11, 0, tzinfo=timezone.utc)
PATH = (
    "/v2/origin/custom/f62a0162-46a7-430e-b06c-0ef798d76a21_"
    "52fd2a28-d2eb-4bd8-b862-a67934927b38/chats/"
    "30477717-9f3c-4d3f-8101-60327e14dc48/history"
)
SIGNATURE = "2a2593df86235c44943a40ce35409d18bda5778c"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def prepared(url: str, body: str | bytes | None = None) -> requests.PreparedRequest:
    return requests.Request("GET", url, data=body).prepare()


def test_the_digest_of_a_get_is_that_of_nothing() -> None:
    assert content_md5(b"") == EMPTY_MD5


def test_five_lines_are_signed_in_the_documented_order() -> None:
    assert string_to_sign("get", EMPTY_MD5, DATE, PATH).split("\n") == [
        "GET",
        EMPTY_MD5,
        "application/json",
        DATE,
        PATH,
    ]


def test_the_published_example_is_reproduced() -> None:
    text = string_to_sign("GET", EMPTY_MD5, DATE, PATH)

    assert signature(SECRET, text) == SIGNATURE


def test_the_four_headers_carry_the_published_example() -> None:
    assert signed_headers("GET", PATH, b"", SECRET, MOMENT) == {
        "Date": DATE,
        "Content-Type": "application/json",
        "Content-MD5": EMPTY_MD5,
        "X-Signature": SIGNATURE,
    }


def test_the_authenticator_signs_the_path_without_the_query() -> None:
    request = prepared(f"https://amojo.kommo.com{PATH}?offset=0&limit=50")

    KommoAuthenticator(SECRET, now=lambda: MOMENT)(request)

    assert request.headers["X-Signature"] == SIGNATURE


def test_the_authenticator_signs_the_path_as_it_is_sent() -> None:
    request = prepared("https://amojo.kommo.com/chats/a%20b%7Ec/ü?offset=0")

    KommoAuthenticator(SECRET, now=lambda: MOMENT)(request)

    sent = request.path_url.partition("?")[0]
    assert sent == "/chats/a%20b~c/%C3%BC"
    assert request.headers["X-Signature"] == signature(
        SECRET, string_to_sign("GET", EMPTY_MD5, DATE, sent)
    )


@pytest.mark.parametrize("body", ["text", b"text"])
def test_a_body_is_part_of_the_signature(body: str | bytes) -> None:
    request = prepared(f"https://amojo.kommo.com{PATH}", body)

    KommoAuthenticator(SECRET, now=lambda: MOMENT)(request)

    assert request.headers["Content-MD5"] == content_md5(b"text")
    assert request.headers["X-Signature"] != SIGNATURE


def test_a_second_call_signs_with_a_new_date() -> None:
    moments = iter([MOMENT, MOMENT + timedelta(minutes=16)])
    sign = KommoAuthenticator(SECRET, now=lambda: next(moments))
    request = prepared(f"https://amojo.kommo.com{PATH}")

    first = dict(sign(request).headers)
    second = dict(sign(request).headers)

    assert second["Date"] == "Tue, 13 Dec 2022 11:16:00 +0000"
    assert second["X-Signature"] != first["X-Signature"]


def test_a_date_does_not_depend_on_the_time_zone_it_is_given_in() -> None:
    assert http_date(MOMENT.astimezone(timezone(timedelta(hours=-3)))) == DATE


def test_a_date_does_not_follow_the_locale() -> None:
    class Localised(datetime):
        """A moment whose `strftime` speaks another language."""

        def strftime(self, format: str) -> str:  # noqa: A002 (its name there)
            text = super().strftime(format)
            return text.replace("Tue", "Di").replace("Dec", "Dez")

    assert http_date(Localised(2022, 12, 13, 11, tzinfo=timezone.utc)) == DATE


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        http_date(MOMENT.replace(tzinfo=None))


def test_the_authenticator_does_not_show_its_secret() -> None:
    assert SECRET not in repr(KommoAuthenticator(SECRET))
