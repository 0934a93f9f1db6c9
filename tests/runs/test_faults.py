"""What networks, servers and operators do, on real sockets, and what the log says."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import ConversationStore, Faults, Sandbox, generated_store, strike
from tap_kommo_chats.errors import ConversationError, IncompleteRunError, RunError
from tap_kommo_chats.kommo import chats, history, host, transport
from tap_kommo_chats.kommo.limiter import RequestLimiter
from tests.support.marks import LONG
from tests.support.tap import FailedRun, config_for, failing_run, run, wait_for_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import SeenRequest

ONE = "30477717-9f3c-4d3f-8101-60327e14dc48"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_nothing(monkeypatch)


@pytest.fixture
def thousand() -> Iterator[Sandbox]:
    """A sandbox with a thousand conversations of five messages."""
    with Sandbox(generated_store(1000, 5)) as sandbox:
        yield sandbox


def expected(sandbox: Sandbox) -> Counter[tuple[str, str]]:
    store = sandbox.store
    return Counter(
        (id_, name)
        for id_ in store.conversation_ids()
        for name in store.message_ids(id_)
    )


def texts(sandbox: Sandbox) -> set[str]:
    store = sandbox.store
    rows: list[Any] = [r for id_ in store.conversation_ids() for r in store.rows(id_)]
    return {row["message"]["text"] for row in rows if row["message"].get("text")}


def assert_private(sandbox: Sandbox, *said: str) -> None:
    """Nothing that was said has the secret, a signature or a text in it."""
    everything = "\n".join(said)
    assert sandbox.secret not in everything
    for seen in sandbox.requests:
        assert seen.headers.get("x-signature", "none") not in everything
    assert not [
        text for text in texts(sandbox) if len(text) > 12 and text in everything
    ]


def test_every_message_arrives_through_errors_resets_and_cut_bodies(
    thousand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    thousand.faults = Faults(
        seed=1, server_error=0.05, reset_before=0.01, reset_within=0.01, truncated=0.02
    )

    output = run(config_for(thousand))

    assert Counter(output.keys) == expected(thousand)
    struck = Counter(seen.fault for seen in thousand.requests if seen.fault)
    assert set(struck) >= {"server_error", "reset_before", "reset_within", "truncated"}
    assert_private(thousand, caplog.text)


@pytest.mark.parametrize(
    "fault",
    ["cut_json", "html", pytest.param("too_many", marks=LONG), "server_error"],
)
def test_what_may_pass_is_tried_again(sandbox: Sandbox, fault: str) -> None:
    for number in range(60):
        sandbox.store.add(f"c{number}", generated_row(number))
    more = {"retry_after": 0.0} if fault == "too_many" else {}
    sandbox.faults = Faults(seed=3, **{fault: 0.3}, **more)  # type: ignore[arg-type]

    output = run(config_for(sandbox))

    assert Counter(output.keys) == expected(sandbox)
    assert [seen for seen in sandbox.requests if seen.fault == fault]


def test_a_first_request_that_is_reset_is_tried_again(sandbox: Sandbox) -> None:
    sandbox.store.add("a", generated_row(1))
    seed = next(
        seed
        for seed in range(1000)
        if strike(Faults(seed=seed, reset_before=0.5), "a", 0, 0).fault
        and not strike(Faults(seed=seed, reset_before=0.5), "a", 0, 1).fault
    )
    sandbox.faults = Faults(seed=seed, reset_before=0.5)

    assert run(config_for(sandbox)).keys == [("a", "m1")]
    assert [seen.fault for seen in sandbox.requests] == ["reset_before", None]


def test_a_server_that_never_answers_stops_the_run_with_its_first_conversation(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults = Faults(reset_before=1.0)

    said = refused(sandbox, caplog)

    assert "broke the connection off: check the network" in said
    assert {seen.conversation_id for seen in sandbox.requests} == {ONE}


def generated_row(number: int) -> dict[str, Any]:
    return {
        "timestamp": 1_600_000_000 + number,
        "message": {"id": f"m{number}", "text": f"what was written, number {number}"},
    }


def test_ten_broken_conversations_do_not_stop_the_others(
    thousand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids = thousand.store.conversation_ids()
    broken = ids[5:1000:100]
    thousand.faults = Faults(server_error=1.0, only=frozenset(broken))

    failed = failing_run(config_for(thousand), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert all(conversation_id in str(failed.error) for conversation_id in broken)
    assert {key[0] for key in failed.output.keys} == set(ids) - set(broken)
    for conversation_id in broken:
        told = f"Conversation {conversation_id}: Kommo answered 502"
        lines = [line for line in failed.log.splitlines() if told in line]
        assert sum("given up after 6 attempt(s)" in line for line in lines) == 1
    assert "Conversations read: 990, empty: 0, unchanged: 0, failed: 10" in failed.log
    assert_private(thousand, failed.log, str(failed.error))

    # The next run, with nothing broken, reads the ten and what is new.
    thousand.faults = Faults()
    thousand.forget_requests()
    thousand.store.add(ids[0], {**generated_row(1), "timestamp": int(time.time())})
    second = run(config_for(thousand), failed.output.state)

    new = {(ids[0], "m1")}
    assert set(second.keys) - new == {
        key for key in expected(thousand) if key[0] in broken
    }


def test_messages_that_come_and_go_at_every_page_hide_none_that_stay(
    sandbox: Sandbox,
) -> None:
    for conversation in range(5):
        for number in range(300):
            sandbox.store.add(
                f"c{conversation}",
                {
                    "timestamp": 1_600_000_000 + number,
                    "message": {"id": f"c{conversation}-{number}"},
                },
            )
    before = set(expected(sandbox))
    sandbox.faults = Faults(seed=5, appear=1.0, vanish=1.0)

    output = run(config_for(sandbox))

    assert before & set(expected(sandbox)) <= set(output.keys)
    assert len(before - set(expected(sandbox))) > 20


def refused(sandbox: Sandbox, caplog: pytest.LogCaptureFixture, **more: Any) -> str:
    """Run three conversations into what concerns all; return what it says."""
    config = {**config_for(sandbox, [ONE, f"{ONE[:-1]}9", f"{ONE[:-1]}a"]), **more}
    failed = failing_run(config, caplog)
    assert isinstance(failed.error, RunError)
    assert_private(sandbox, failed.log, str(failed.error))
    assert str(failed.error).count("\n") == 0
    return str(failed.error)


def test_a_wrong_secret_names_the_suspects_after_three_requests(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "0123456789abcdef0123456789abcdef01234567"

    said = refused(sandbox, caplog, channel_secret=wrong)

    assert "the signature was refused: check that channel_secret is the secret" in said
    assert wrong not in said + caplog.text
    assert len(sandbox.requests) == 3


@pytest.mark.parametrize(
    ("skew", "told"), [(3600, "60 minutes behind"), (-7200, "120 minutes ahead of")]
)
def test_a_clock_that_is_wrong_is_told_with_its_difference(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, skew: float, told: str
) -> None:
    sandbox.faults = Faults(clock_skew=skew)

    said = refused(sandbox, caplog)

    assert f"this machine's clock is {told} the server's" in said
    assert len(sandbox.requests) == 1


def test_a_clock_that_is_a_little_wrong_is_not_to_blame(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    a_little_off = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=14))
    sandbox.answer = lambda _: web.Response(status=403, headers={"Date": a_little_off})

    assert "the signature was refused" in refused(sandbox, caplog)


def test_a_page_that_forbids_means_a_blocked_address(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults = Faults(blocked=1.0)

    said = refused(sandbox, caplog)

    assert "this machine's address is blocked: wait some hours" in said
    assert "requests_per_second" in said
    assert len(sandbox.requests) == 1


def test_forbidden_after_too_many_requests_means_a_blocked_address(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_seen: SeenRequest) -> web.StreamResponse:
        if not sandbox.requests:
            return web.Response(status=429, headers={"Retry-After": "0"})
        return web.json_response({}, status=403)

    sandbox.answer = answer

    assert "this machine's address is blocked" in refused(sandbox, caplog)
    assert len(sandbox.requests) == 4


def test_no_request_is_sent_after_a_block_in_the_middle_of_a_run(
    thousand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids = thousand.store.conversation_ids()
    thousand.faults = Faults(blocked=1.0, only=frozenset(ids[500:]))

    failed = failing_run({**config_for(thousand), "max_concurrency": 4}, caplog)

    assert "this machine's address is blocked" in str(failed.error)
    # Those that were on their way already.
    assert sum(seen.status == 403 for seen in thousand.requests) <= 4
    assert len(failed.output.state["bookmarks"]["chat_history"]["conversations"]) >= 490


def test_a_redirect_is_told_and_not_followed(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with Sandbox(ConversationStore()) as elsewhere:
        sandbox.faults = Faults(redirect_to=f"{elsewhere.url}/v2")

        assert "redirects are not followed: check api_url" in refused(sandbox, caplog)
        assert not elsewhere.requests


@pytest.mark.parametrize(
    ("api_url", "cause"),
    [
        ("https://no-such-host.invalid", "cannot be resolved to an address"),
        ("http://127.0.0.1:1", "refuses connections"),
    ],
)
def test_a_host_that_is_not_there_is_told_at_once(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, api_url: str, cause: str
) -> None:
    said = refused(sandbox, caplog, api_url=api_url)

    assert said.startswith(f"{api_url} {cause}: check api_url")


def test_a_server_that_speaks_no_tls_is_told_at_once(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    https = sandbox.url.replace("http://", "https://")

    assert f"{https} cannot be trusted, TLS failed" in refused(
        sandbox, caplog, api_url=https
    )


def test_a_certificate_that_is_not_trusted_is_told_at_once(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def distrust(*_: object, **__: object) -> None:
        raise ssl.SSLCertVerificationError(1, "self-signed certificate")

    monkeypatch.setattr(transport._SecureConnection, "connect", distrust)  # noqa: SLF001 (there is no certificate authority here)

    assert "cannot be trusted, TLS failed" in refused(
        sandbox, caplog, api_url="https://127.0.0.1:9"
    )


def one_failure(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, **more: Any
) -> FailedRun:
    """Run two conversations of which the first is well and the second is not."""
    sandbox.store.add("well", generated_row(1))
    sandbox.store.add("ill", generated_row(2))
    config = {**config_for(sandbox, ["well", "ill"]), **more}
    failed = failing_run(config, caplog)
    assert isinstance(failed.error, IncompleteRunError)
    assert "(ill)" in str(failed.error)
    assert failed.output.keys == [("well", "m1")]
    assert_private(sandbox, failed.log, str(failed.error))
    return failed


@pytest.mark.parametrize("headers", [False, True], ids=["body", "headers too"])
def test_a_server_that_trickles_is_cut_off(
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    headers: bool,
) -> None:
    monkeypatch.setattr(host, "ATTEMPTS", 1)
    sandbox.faults = Faults(
        trickle=1.0,
        trickle_seconds=0.3,
        trickle_headers=headers,
        only=frozenset({"ill"}),
    )
    started = time.monotonic()

    failed = one_failure(sandbox, caplog, request_timeout=1)

    assert "does not answer in time" in failed.log
    assert time.monotonic() - started < 15


def test_a_server_that_ignores_the_offset_is_one_conversations_failure(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [generated_row(1000 - number) for number in range(50)]
    sandbox.store.add("well", generated_row(1))
    sandbox.answer = lambda seen: (
        web.json_response({"messages": rows}) if seen.conversation_id == "ill" else None
    )

    failed = failing_run(config_for(sandbox, ["well", "ill"]), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert "Conversation ill: the server answers with the same rows" in failed.log
    assert "mistake in the tap" not in failed.log


def test_a_server_that_is_silent_is_given_up(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "ATTEMPTS", 2)
    sandbox.faults = Faults(latency=30.0, only=frozenset({"ill"}))

    failed = one_failure(sandbox, caplog, request_timeout=1)

    assert (
        "does not answer in time: check the network, or raise request_t" in failed.log
    )
    assert "given up after 2 attempt(s)" in failed.log


def test_a_body_above_the_greatest_size_is_refused(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "BODY_AT_MOST", 100_000)
    sandbox.faults = Faults(oversized=200_000, only=frozenset({"ill"}))

    failed = one_failure(sandbox, caplog)

    assert "an answer larger than any page can be" in failed.log
    assert (
        len([seen for seen in sandbox.requests if seen.conversation_id == "ill"]) == 1
    )


def test_a_page_that_takes_too_long_with_all_its_attempts_is_given_up(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "ASKING_SECONDS", 0.0)
    sandbox.faults = Faults(server_error=1.0, only=frozenset({"ill"}))

    failed = one_failure(sandbox, caplog)

    assert "given up after 1 attempt(s)" in failed.log


def test_a_network_that_is_gone_in_the_middle_stops_the_run(
    thousand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids = thousand.store.conversation_ids()
    thousand.faults = Faults(reset_before=1.0, only=frozenset(ids[100:]))

    failed = failing_run(config_for(thousand), caplog)

    assert isinstance(failed.error, RunError)
    assert "20 conversations failed, so the run was stopped" in str(failed.error)
    assert "broke the connection off" in str(failed.error)


def test_one_bad_connection_after_a_404_is_one_conversations_failure(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(30):
        sandbox.store.add(f"c{number}", generated_row(number))
    sandbox.answer = lambda seen: (
        web.Response(status=404) if seen.conversation_id == "c0" else None
    )
    sandbox.faults = Faults(reset_before=1.0, only=frozenset({"c1"}))

    failed = failing_run(config_for(sandbox), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert len(failed.output.keys) == 28


def test_a_redirect_to_nowhere_is_a_redirect(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.answer = lambda _: web.Response(
        status=302, headers={"Location": "http://[::1/x"}
    )

    assert "redirects are not followed" in refused(sandbox, caplog)


def test_stopping_the_run_blames_no_other_conversation(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = RequestLimiter.stop

    def stop_slowly(limiter: RequestLimiter) -> None:
        stop(limiter)
        time.sleep(0.2)  # the others notice first

    monkeypatch.setattr(RequestLimiter, "stop", stop_slowly)
    for number in range(60):
        sandbox.store.add(f"c{number}", generated_row(number))
    sandbox.faults = Faults(blocked=1.0, only=frozenset({"c20"}))

    failed = failing_run(config_for(sandbox), caplog)

    assert "address is blocked" in str(failed.error)
    assert "mistake in the tap" not in failed.log
    assert "failed: 0" in failed.log


def test_connections_through_a_proxy_have_the_deadline_too() -> None:
    manager = transport.BoundedAdapter().proxy_manager_for("http://127.0.0.1:9")

    for scheme in ("http", "https"):
        connection: Any = manager.connection_from_host("127.0.0.1", 9, scheme)
        assert connection.ConnectionCls.response_class is transport._BoundedResponse  # noqa: SLF001 (what the deadline hangs on)


def test_a_run_in_which_nothing_can_be_read_is_stopped(
    thousand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    thousand.answer = lambda _: web.Response(status=404)

    failed = failing_run(config_for(thousand), caplog)

    assert isinstance(failed.error, RunError)
    assert "50 conversations failed, so the run was stopped" in str(failed.error)
    assert "check api_url, scope_id" in str(failed.error)


def test_a_mistake_in_the_tap_is_one_conversations_failure_without_its_data(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = history.read_history

    def stumble(response: Any, conversation_id: str, *args: Any, **kwargs: Any) -> Any:
        if conversation_id == "ill":
            msg = "what was written, number 2"
            raise KeyError(msg)
        return read(response, conversation_id, *args, **kwargs)

    monkeypatch.setattr(chats, "read_history", stumble)

    failed = one_failure(sandbox, caplog)

    assert "Conversation ill: KeyError in test_faults.py, line" in failed.log
    assert failed.log.count("KeyError") == 1
    assert isinstance(failed.error, IncompleteRunError | ConversationError)
    assert not [t for t in threading.enumerate() if t.name == "reader"]
