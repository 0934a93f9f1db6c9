"""What Kommo's CRM answers, and what the log says then."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from sandbox import ConversationStore, Faults, Sandbox
from tap_kommo_chats.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    RunError,
)
from tap_kommo_chats.kommo import host, transport
from tap_kommo_chats.kommo.crm import ACCOUNT, EVENTS, CrmApi
from tap_kommo_chats.kommo.crm_answers import read_answer
from tap_kommo_chats.kommo.host import ATTEMPTS, Host
from tap_kommo_chats.kommo.limiter import RequestLimiter
from tap_kommo_chats.kommo.pace import RequestPace
from tap_kommo_chats.kommo.pages import Ending, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sandbox import SeenRequest

TALK = "/api/v4/talks/7"
LIMIT = [("limit", "250")]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LONGEST_WAIT", 0.0)


class Client:
    """Asks for one talk, or for the events of one day."""

    def __init__(self, url: str, token: str) -> None:
        """Ask there, with that token."""
        self.host = Host(url, "crm_url", "tests/1", 5, RequestLimiter(0))
        self.crm = CrmApi(self.host, token)

    def talk(self, talk_id: int = 7) -> Mapping[str, Any] | None:
        return self.crm.talk(talk_id)

    def events(self) -> list[Page]:
        return list(self.crm.events(["talk_created"], 1_700_000_000_999, 1_700_086_400))


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    sandbox.crm.store.talks.add(
        7, "a", created_at=1_600_000_000, updated_at=1_600_000_000
    )
    return Client(sandbox.url, sandbox.crm_token)


def problem(status: int, title: str = "", detail: str = "") -> web.Response:
    body = {"title": title, "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/json")


def page(status: int) -> web.Response:
    return web.Response(status=status, text="<p>No", content_type="text/html")


@pytest.fixture
def refused(
    sandbox: Sandbox, client: Client, caplog: pytest.LogCaptureFixture
) -> Callable[..., str]:
    """Ask for a talk in vain, and return the one line that says why."""

    def refused(
        answer: Callable[[], web.Response] | None = None,
        *,
        attempts: int,
        of: type[RunError] = RunError,
    ) -> str:
        caplog.set_level(logging.DEBUG)
        if answer is not None:
            sandbox.answer = lambda _: answer()
        with pytest.raises(RunError) as raised:
            client.talk()
        said = str(raised.value)
        assert type(raised.value) is of
        assert "\n" not in said
        assert sandbox.crm_token not in said + repr(raised.value) + caplog.text
        assert len(sandbox.requests) == client.host.requests_made == attempts
        return said

    return refused


def test_an_answer_is_its_object(client: Client) -> None:
    answer = client.talk()

    assert answer is not None
    assert answer["talk_id"] == 7


def test_no_content_is_nothing(client: Client) -> None:
    assert client.events() == [Page([], Ending.LAST)]


def test_a_span_of_time_is_asked_for_in_seconds(
    sandbox: Sandbox, client: Client
) -> None:
    client.events()

    (seen,) = sandbox.requests
    assert seen.target == (
        f"{EVENTS}?filter%5Btype%5D%5B%5D=talk_created"
        "&filter%5Bcreated_at%5D%5Bfrom%5D=1700000000"
        "&filter%5Bcreated_at%5D%5Bto%5D=1700086&limit=250"
    )


def test_the_token_is_sent_as_a_bearer_with_each_request(
    sandbox: Sandbox, client: Client
) -> None:
    client.events()
    client.talk()

    expected = f"Bearer {sandbox.crm_token}"
    assert [s.headers["authorization"] for s in sandbox.requests] == [expected] * 2
    assert {seen.headers["user-agent"] for seen in sandbox.requests} == {"tests/1"}


def test_the_token_is_not_logged_even_by_the_libraries(
    sandbox: Sandbox, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    client.talk()

    assert TALK in caplog.text  # the libraries do log
    assert sandbox.crm_token not in caplog.text


def test_a_password_in_the_environment_takes_no_tokens_place(
    sandbox: Sandbox,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(
        "machine 127.0.0.1 login someone password else\n", encoding="utf-8"
    )
    monkeypatch.setenv("NETRC", str(netrc))

    client.talk()

    (seen,) = sandbox.requests
    assert seen.headers["authorization"] == f"Bearer {sandbox.crm_token}"


def test_a_wrong_token_is_told_after_one_request(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.wrong"

    with pytest.raises(RunError, match="Kommo answered 401; crm_access_token is exp"):
        Client(sandbox.url, wrong).events()

    assert wrong not in caplog.text
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: problem(401), "crm_access_token is expired, revoked or not of this"),
        (lambda: page(401), "check crm_url"),
        (lambda: problem(402), "the account's plan is over or does not include this"),
        (
            lambda: problem(403, "Forbidden", "The Token has not enough Scopes."),
            "crm_access_token lacks a scope: let the integration access",
        ),
        (lambda: page(403), "this machine's address is blocked: wait some hours, then"),
        (lambda: page(404), "check that crm_url is your account's address"),
        (lambda: web.json_response([1], status=404), "check that crm_url is your acc"),
        (lambda: problem(405), "check that crm_url is your account's address"),
        (lambda: problem(451), "check that crm_url is your account's address"),
        (
            lambda: web.Response(status=302, headers={"Location": "/login"}),
            "redirects are not followed: check crm_url",
        ),
        (lambda: web.Response(status=304), "redirects are not followed: check crm_url"),
    ],
    ids=[
        *("401", "401 HTML", "402", "403 scope", "403 HTML"),
        *("404 HTML", "404 list", "405", "451", "302", "304"),
    ],
)
def test_what_does_not_pass_is_told_after_one_request(
    refused: Callable[..., str], answer: Callable[[], web.Response], said: str
) -> None:
    line = refused(answer, attempts=1)

    assert line.startswith(f"GET {TALK}: Kommo answered {answer().status}; ")
    assert said in line


@pytest.mark.parametrize("detail", ["You may not.", "", "microscope scoped"])
def test_what_the_tokens_user_may_not_see_can_be_told_from_other_failures(
    refused: Callable[..., str], detail: str
) -> None:
    line = refused(
        lambda: problem(403, "Forbidden", detail), attempts=1, of=ForbiddenError
    )

    assert "may not see this: make the token as an administrator" in line


def test_twenty_things_in_a_row_that_the_user_may_not_see_are_everyones(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.answer = lambda _: problem(403)

    for talk_id in range(1, 20):
        with pytest.raises(ForbiddenError):
            client.talk(talk_id)
    with pytest.raises(RunError, match="403, 20 times in a row; the user") as raised:
        client.talk(20)

    assert type(raised.value) is RunError


def test_refusals_are_counted_in_a_row_and_for_each_endpoint(
    sandbox: Sandbox, client: Client
) -> None:
    refuses = True
    sandbox.answer = lambda seen: (
        problem(403) if refuses and seen.target.startswith(TALK[:-1]) else None
    )

    for _ in range(2):
        for talk_id in range(1, 20):
            with pytest.raises(ForbiddenError):
                client.talk(talk_id)
            client.events()
        refuses = False
        client.talk()
        refuses = True


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda: web.json_response({"amojo_id": "x"}), "x"),
        (lambda: web.json_response({"amojo_id": None}), None),
        (lambda: web.json_response({"amojo_id": 7}), None),
        (lambda: web.json_response({"id": 7}), None),
        (lambda: web.Response(status=204), None),
        (lambda: problem(400), None),
        (lambda: problem(403, "Forbidden", "Invalid scope"), None),
        (lambda: page(403), None),
        (lambda: problem(404), None),
        (lambda: page(404), None),
    ],
)
def test_an_account_may_tell_its_id_in_the_chats(
    sandbox: Sandbox,
    client: Client,
    answer: Callable[[], web.Response],
    expected: str | None,
) -> None:
    sandbox.answer = lambda _: answer()

    assert client.crm.amojo_id() == expected
    assert [seen.target for seen in sandbox.requests] == [f"{ACCOUNT}?with=amojo_id"]


def test_an_account_that_cannot_be_asked_for_says_why(sandbox: Sandbox) -> None:
    with pytest.raises(RunError, match="crm_access_token is expired"):
        Client(sandbox.url, "wrong").crm.amojo_id()


def test_a_404_of_the_account_alone_does_not_make_a_host_the_crm(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.answer = lambda _: page(404)

    client.crm.amojo_id()
    with pytest.raises(RunError) as raised:
        client.talk()

    assert not isinstance(raised.value, NotFoundError)


@pytest.mark.parametrize("status", [204, 400, 404])
def test_a_page_behind_a_full_one_that_names_none_is_asked_for_and_may_be_missing(
    sandbox: Sandbox, client: Client, status: int
) -> None:
    full: list[object] = [{"talk_id": number} for number in range(1, 251)]
    sandbox.answer = lambda seen: (
        problem(status)
        if "page=2" in seen.target
        else web.json_response({"_embedded": {"talks": full}})
    )

    pages = list(client.crm.talks())

    assert pages == [Page(full, None), Page([], Ending.FULL)]
    assert len(sandbox.requests) == 2


def test_a_page_that_a_link_leads_to_may_not_be_missing(
    sandbox: Sandbox, client: Client
) -> None:
    link = {"next": {"href": "/api/v4/talks?page=2"}}
    sandbox.answer = lambda seen: (
        problem(400)
        if "page=2" in seen.target
        else web.json_response({"_embedded": {"talks": [1]}, "_links": link})
    )

    with pytest.raises(BadRequestError):
        list(client.crm.talks())


def test_a_smaller_page_is_kept_to_when_it_is_what_the_crm_takes(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.crm.max_limit = 100
    sandbox.crm.strict_limit = True

    list(client.crm.talks())
    list(client.crm.talks())

    assert [seen.limit for seen in sandbox.requests] == [250, 100, 100]


def test_a_smaller_page_is_not_kept_to_when_it_is_refused_too(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.answer = lambda seen: problem(400) if "talk_id" in seen.target else None

    with pytest.raises(BadRequestError):
        list(client.crm.talks_numbered([7]))
    list(client.crm.talks())

    assert [seen.limit for seen in sandbox.requests] == [250, 100, 250]


def test_talks_are_filtered_by_their_numbers_and_by_whose_they_are(
    sandbox: Sandbox, client: Client
) -> None:
    list(client.crm.talks_numbered([7, 8]))
    list(client.crm.talks_of("contact", [1, 2]))
    list(client.crm.talks_of("lead", [3]))

    assert [parse_qsl(urlsplit(seen.target).query) for seen in sandbox.requests] == [
        [("filter[talk_id][]", "7"), ("filter[talk_id][]", "8"), *LIMIT],
        [("filter[contact_id][]", "1"), ("filter[contact_id][]", "2"), *LIMIT],
        [("filter[entity_id][]", "3"), ("filter[entity_type]", "lead"), *LIMIT],
    ]


def test_what_is_not_there_can_be_told_from_other_failures(
    refused: Callable[..., str],
) -> None:
    refused(lambda: problem(404, "Not Found"), attempts=1, of=NotFoundError)


def test_a_talk_that_is_not_there_is_not_found(client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.talk(8)


def test_a_bad_request_can_be_told_from_other_failures(
    refused: Callable[..., str],
) -> None:
    line = refused(lambda: problem(400), attempts=1, of=BadRequestError)

    assert "report this line" in line


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: page(500), "Kommo answered 500; Kommo is in trouble: run again later"),
        (lambda: problem(503), "Kommo answered 503; Kommo is in trouble"),
        (
            lambda: web.Response(status=429, headers={"Retry-After": "0"}),
            "Kommo answered 429; lower requests_per_second, or run fewer taps at once",
        ),
        (lambda: page(200), "the answer is not JSON, or was cut: check that crm_url"),
        (lambda: web.Response(text='{"a": '), "the answer is not JSON, or was cut"),
        (lambda: web.Response(text="[" * 100_000), "the answer is not JSON, or was cu"),
        (lambda: web.Response(text="[]"), "the answer is not JSON, or was cut"),
        (web.Response, "the answer is not JSON, or was cut"),
    ],
    ids=["500", "503", "429", "200 HTML", "cut", "deep", "list", "empty"],
)
def test_what_may_pass_is_tried_some_times(
    refused: Callable[..., str], answer: Callable[[], web.Response], said: str
) -> None:
    line = refused(answer, attempts=ATTEMPTS)

    assert line.startswith(f"GET {TALK}: {said}")
    assert line.endswith(f"(given up after {ATTEMPTS} attempt(s))")


@pytest.mark.parametrize(
    "fault", ["reset_before", "reset_within", "truncated", "html", "server_error"]
)
def test_what_passes_is_overcome(sandbox: Sandbox, client: Client, fault: str) -> None:
    for seed in range(8):
        sandbox.faults = Faults(seed=seed, **{fault: 0.5})  # type: ignore[arg-type]
        answer = client.talk()
        assert answer is not None
        assert answer["talk_id"] == 7

    assert {seen.fault for seen in sandbox.requests} == {fault, None}


@pytest.mark.parametrize("fault", ["reset_before", "reset_within", "truncated"])
def test_a_connection_that_breaks_each_time_is_given_up(
    sandbox: Sandbox, refused: Callable[..., str], fault: str
) -> None:
    sandbox.faults = Faults(**{fault: 1.0})  # type: ignore[arg-type]

    line = refused(attempts=ATTEMPTS)

    assert f"{sandbox.url} broke the connection off: check the network" in line
    assert line.endswith(f"(given up after {ATTEMPTS} attempt(s))")


@pytest.mark.parametrize("status", [200, 429, 503])
def test_a_server_that_asks_to_wait_is_waited_for(
    sandbox: Sandbox, client: Client, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(RequestPace, "pause", lambda *given: waited.append(given[-1]))

    def answer(_: SeenRequest) -> web.StreamResponse | None:
        if sandbox.requests:
            return None
        return web.Response(status=status, text="{}", headers={"Retry-After": "7"})

    sandbox.answer = answer
    client.talk()

    assert waited == [7.0]


def test_too_many_requests_slow_down_even_if_the_server_does_not_say_how_much(
    sandbox: Sandbox, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []
    monkeypatch.setattr(RequestPace, "refuse", lambda *given: waited.append(given[-1]))
    sandbox.answer = lambda _: None if sandbox.requests else web.Response(status=429)

    client.talk()

    assert waited == [None]


def test_a_redirect_takes_the_token_nowhere(
    sandbox: Sandbox, refused: Callable[..., str]
) -> None:
    with Sandbox(ConversationStore()) as elsewhere:
        sandbox.faults = Faults(redirect_to=f"{elsewhere.url}{TALK}")

        assert "redirects are not followed: check crm_url" in refused(attempts=1)
        assert not elsewhere.requests


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("https://no-such-host.invalid", "cannot be resolved to an address"),
        ("http://127.0.0.1:1", "refuses connections"),
    ],
)
def test_a_host_that_is_not_there_is_told_at_once(url: str, cause: str) -> None:
    client = Client(url, "hush-hush")

    with pytest.raises(RunError) as raised:
        client.talk()

    said = str(raised.value)
    assert f"GET {TALK}: {url} {cause}: check crm_url" in said
    assert "api_url" not in said
    assert client.host.requests_made == 1


def test_a_host_that_answered_before_is_asked_again() -> None:
    with Sandbox(ConversationStore()) as gone:
        client = Client(gone.url, gone.crm_token)
        client.events()

    with pytest.raises(RunError, match=r"given up after 6 attempt\(s\)"):
        client.events()


def test_an_answer_larger_than_any_page_is_given_up(
    sandbox: Sandbox, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "BODY_AT_MOST", 10_000)
    sandbox.faults = Faults(oversized=100_000)

    line = refused(attempts=1)

    assert "larger than any page can be: check crm_url" in line


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500])
def test_nothing_a_server_says_is_repeated(
    sandbox: Sandbox, client: Client, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    token = sandbox.crm_token
    headers = {"Retry-After": "0", "X-Token": token}
    body = {"title": token, "detail": f"scope {token}", "error_type": token}
    sandbox.answer = lambda _: web.json_response(body, status=status, headers=headers)

    with pytest.raises(RunError) as raised:
        client.talk()

    assert token not in str(raised.value) + caplog.text


def test_each_request_counts_its_own_attempts(sandbox: Sandbox, client: Client) -> None:
    client.talk()
    sandbox.answer = lambda _: page(502)

    for _ in range(2):
        with pytest.raises(RunError, match=r"given up after 6 attempt\(s\)"):
            client.talk()

    assert client.host.requests_made == 13


@given(st.binary())
def test_no_body_of_a_refusal_is_stumbled_over(body: bytes) -> None:
    response = requests.Response()
    response.status_code = 403
    response._content = body  # noqa: SLF001 (there is no other way to make one)

    with pytest.raises(RunError):
        read_answer(response, TALK, is_crm=False)
