"""What an operator sees of a run: the bar, the lines, the summary, the metrics."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import OWN_ORIGIN, Faults, Sandbox, generated_store, seeded_crm
from tap_kommo_chats.durations import format_seconds
from tap_kommo_chats.run import progress
from tap_kommo_chats.run.progress import Progress, Snapshot, Trend
from tests.support.tap import config_for, failing_run, run, wait_for_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox import PageRequest

    Start = Callable[..., subprocess.Popen[bytes]]

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

LOGGER = logging.getLogger("tap-kommo-chats.chat_history")
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \| [A-Z]+ +\| \S+ +\| \S.*")
STRUCTURED = """
version: 1
disable_existing_loggers: false
formatters:
  structured:
    (): singer_sdk.logging.StructuredFormatter
handlers:
  console:
    class: logging.StreamHandler
    formatter: structured
    stream: ext://sys.stderr
root:
  level: INFO
  handlers: [console]
"""


def snapshot(seconds: float, done: int = 0, **more: Any) -> Snapshot:
    counts = {
        "known": 1000,
        "all_known": True,
        "messages": 50 * done,
        "requests": 2 * done,
        "crm_requests": None,
        **more,
    }
    return Snapshot(seconds=seconds, done=done, **counts)


# What a line says


def test_a_line_says_how_many_how_fast_and_how_long() -> None:
    trend = Trend()
    trend.look(snapshot(0))

    line = str(trend.look(snapshot(100, 250)))

    assert line == (
        "250/1000 conversations, 5 min 0 s left, 12500 messages, 5.0 requests/s"
    )


def test_the_crms_requests_are_told_apart() -> None:
    trend = Trend()
    trend.look(snapshot(0, crm_requests=0))

    line = str(trend.look(snapshot(100, 250, crm_requests=50)))

    assert line.endswith("5.0 requests/s, 0.5/s to the CRM")


def test_while_more_may_turn_up_nothing_is_said_of_the_end() -> None:
    trend = Trend()
    trend.look(snapshot(0, all_known=False))

    outlook = trend.look(snapshot(100, 250, all_known=False))

    assert outlook.seconds_left is None
    assert str(outlook) == "250/1000+ conversations, 12500 messages, 5.0 requests/s"


def test_the_pace_is_that_of_the_last_three_minutes() -> None:
    trend = Trend()
    for seconds, done in ((0, 0), (30, 600), (60, 700), (150, 700), (240, 880)):
        outlook = trend.look(snapshot(seconds, done))

    # From the second 60 on there were 180 in 180 seconds.
    assert outlook.seconds_left == 120
    assert outlook.requests_per_second == 2


def test_when_nothing_was_done_in_three_minutes_nothing_is_said_of_the_end() -> None:
    trend = Trend()
    for seconds in (0, 30, 120, 210, 300):
        outlook = trend.look(snapshot(seconds, min(seconds, 30)))

    assert outlook.seconds_left is None
    assert outlook.requests_per_second == 0


def test_nothing_is_said_of_the_pace_in_the_first_five_seconds() -> None:
    trend = Trend()
    trend.look(snapshot(0))

    line = str(trend.look(snapshot(4.9, 10)))

    assert line == "10/1000 conversations, 500 messages"


def test_the_pace_begins_with_the_reading_and_not_with_the_lists() -> None:
    trend = Trend()
    trend.look(snapshot(600))  # so long the lists took

    assert trend.look(snapshot(610, 100)).seconds_left == 90


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3600, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (100_000, "1 d 3 h"),
    ],
)
def test_a_duration_has_two_units(seconds: float, written: str) -> None:
    assert format_seconds(seconds) == written


# When a line comes


class Watched:
    """A run whose time a test tells; it notes at which times it was looked at."""

    def __init__(self) -> None:
        """Begin it at an odd time."""
        self.now = 1000.0
        self.looks: list[float] = []
        self.progress = Progress(LOGGER, self.look, lambda: self.now)

    def look(self, seconds: float) -> Snapshot:
        self.looks.append(seconds)
        return snapshot(seconds, int(seconds))

    def tick_until(self, seconds: float) -> None:
        while self.now < 1000 + seconds:
            self.now += 0.5
            self.progress.tick()


def test_a_line_comes_every_30_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    Watched().tick_until(100)

    assert [message.split(",")[0] for message in caplog.messages] == [
        "Progress: 30/1000 conversations",
        "Progress: 60/1000 conversations",
        "Progress: 90/1000 conversations",
    ]


def test_a_tick_looks_at_nothing_when_nothing_is_due() -> None:
    watched = Watched()

    watched.tick_until(100)

    # The first one is where the pace begins.
    assert watched.looks == [0.5, 30, 60, 90]


def test_a_line_carries_its_numbers_as_attributes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    Watched().tick_until(60)

    assert {
        "seconds": 60,
        "conversations_done": 60,
        "conversations_known": 1000,
        "messages": 3000,
        "requests": 120,
        "crm_requests": None,
        "seconds_left": 932.167,
    }.items() <= vars(caplog.records[-1]).items()


def test_a_run_that_waits_says_so(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress._Lines, "seconds_apart", 0.2)  # noqa: SLF001
    caplog.set_level(logging.INFO)

    def lines() -> int:
        return sum("0/1 conversations" in line for line in caplog.messages)

    def answer_after_two_lines(_asked: PageRequest) -> None:
        give_up = time.monotonic() + 30
        while lines() < 2 and time.monotonic() < give_up:
            time.sleep(0.1)

    sandbox.chats.before_page = answer_after_two_lines

    run(config_for(sandbox, ["a"]))

    assert lines() >= 2


@pytest.fixture
def with_crm() -> Iterator[Sandbox]:
    store = generated_store(20, 3)
    with Sandbox(store, seeded_crm(store)) as running:
        yield running


def crm_config(sandbox: Sandbox, **more: object) -> dict[str, Any]:
    return {
        **config_for(sandbox),
        "conversation_ids": [],
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
        **more,
    }


def of_the_search(sandbox: Sandbox) -> list[str]:
    """What was asked of the CRM to find conversations."""
    asked = ("/api/v4/account", "/api/v4/events", "/api/v4/talks")
    return [r.target for r in sandbox.requests if r.target.startswith(asked)]


def test_a_search_that_finds_nothing_shows_too(
    with_crm: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress._Lines, "seconds_apart", 0.0)  # noqa: SLF001
    caplog.set_level(logging.INFO)

    failing_run(crm_config(with_crm, crm_origins=["amo.ext.1"]), caplog)

    lines = [line for line in caplog.messages if line.startswith("Progress")]
    assert len(lines) >= len(of_the_search(with_crm))
    assert "0/0+ conversations" in lines[0]


def test_when_the_search_is_over_all_conversations_are_known(
    with_crm: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress._Lines, "seconds_apart", 0.0)  # noqa: SLF001
    caplog.set_level(logging.INFO)

    run(crm_config(with_crm))

    lines = [line for line in caplog.messages if line.startswith("Progress")]
    assert re.match(r"Progress: 0/\d+\+ conversations", lines[0])
    assert re.match(r"Progress: \d+/20 conversations", lines[-1])


# The summary


def summary_of(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    (summary,) = [
        record
        for record in caplog.records
        if record.getMessage().startswith("Conversations read: ")
    ]
    return summary


def test_the_summary_counts_every_attempt(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_nothing(monkeypatch)
    caplog.set_level(logging.INFO)
    with Sandbox(generated_store(30, 60)) as sandbox:
        sandbox.faults = Faults(seed=3, server_error=0.2)
        run(config_for(sandbox))
        asked = len(sandbox.requests)

    assert asked > 60
    assert re.fullmatch(
        "Conversations read: 30, empty: 0, unchanged: 0, failed: 0; "
        rf"messages: 1800, requests: {asked}, duration: \d+ s",
        summary_of(caplog).getMessage(),
    )


def test_the_summary_tells_the_crms_requests_apart(
    with_crm: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    run(crm_config(with_crm))

    asked = [seen for seen in with_crm.requests if seen.conversation_id is not None]
    found = of_the_search(with_crm)
    told = f"messages: 60, requests: {len(asked)}, requests to the CRM: {len(found)}"
    assert found
    assert told in summary_of(caplog).getMessage()


def test_a_run_that_fails_has_a_summary_too(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.answer = lambda _: web.Response(status=403)

    failing_run(config_for(sandbox, ["a", "b"]), caplog)

    said = summary_of(caplog).getMessage()
    assert "messages: 0, requests: 2, duration: " in said


def test_the_summary_carries_its_numbers_as_attributes(
    with_crm: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    run(config_for(with_crm))

    assert {
        "conversations_read": 20,
        "conversations_empty": 0,
        "conversations_unchanged": 0,
        "conversations_failed": 0,
        "conversations_done": 20,
        "conversations_known": 20,
        "messages": 60,
        "requests": 20,
    }.items() <= vars(summary_of(caplog)).items()


# The command


@pytest.fixture
def start(
    tmp_path: Path,
) -> Start:
    def start_tap(
        config: dict[str, Any],
        stderr: int,
        stdout: int = subprocess.DEVNULL,
        **env: str,
    ) -> subprocess.Popen[bytes]:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        plain = {"TERM": "xterm", "LOGLEVEL": "INFO", "PYTHONIOENCODING": "utf-8"}
        return subprocess.Popen(
            [sys.executable, "-m", "tap_kommo_chats", "--config", str(path)],
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **plain, **env},
        )

    return start_tap


def piped(start: Start, *config: Any, **env: str) -> str:
    tap = start(*config, subprocess.PIPE, **env)
    _, log = tap.communicate(timeout=120)
    assert tap.returncode == 0
    text: str = log.decode()
    return text


def on_terminal(
    start: Start,
    config: dict[str, Any],
    *,
    both: bool = False,
    **env: str,
) -> str:
    """Run the tap with a terminal to write its log to; return what it wrote there."""
    ours, terminal = pty.openpty()
    tap = start(config, terminal, terminal if both else subprocess.DEVNULL, **env)
    os.close(terminal)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:
        pass  # Linux says so when nobody has the terminal open any more.
    finally:
        os.close(ours)
        tap.wait(30)
    return written.decode().replace("\r\n", "\n")


def left_on(terminal: str) -> list[str]:
    """Return what is left of lines that were written over from their beginnings."""
    lines = []
    for line in terminal.split("\n"):
        shown = ""
        for piece in line.split("\r"):
            shown = piece + shown[len(piece) :]
        lines.append(shown.rstrip())
    return lines


@pytest.fixture
def slow() -> Iterator[dict[str, Any]]:
    """A run of two seconds, in which two conversations fail."""
    with Sandbox(generated_store(40, 3)) as sandbox:
        ids = sandbox.store.conversation_ids()
        broken = {ids[20], ids[30]}
        sandbox.answer = lambda seen: (
            web.Response(status=404) if seen.conversation_id in broken else None
        )
        sandbox.faults = Faults(latency=0.1)
        yield {**config_for(sandbox), "max_concurrency": 2}


def test_a_terminal_shows_a_bar(
    start: Start,
    slow: dict[str, Any],
) -> None:
    terminal = on_terminal(start, slow)

    bars = re.findall(r"\r +(\d+)%\|[^|]+\| (\d+)/40 conversations, ", terminal)
    shares = [int(share) for share, _ in bars]
    assert len(set(shares)) >= 3
    assert shares == sorted(shares)
    assert all(int(share) == round(int(done) / 0.4) for share, done in bars)


def test_the_bar_leaves_only_the_log(
    start: Start,
    slow: dict[str, Any],
) -> None:
    lines = left_on(on_terminal(start, slow))

    assert lines.pop() == ""
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    # Two lines came while the bar was there.
    assert sum("Kommo answered 404" in line for line in lines) >= 2
    assert sum("Conversations read: 38" in line for line in lines) == 1
    assert not [line for line in lines if "Progress" in line]


@pytest.mark.parametrize(
    "how",
    [
        {"LOGLEVEL": "WARNING"},
        {"TERM": "dumb"},
        {"both": True},
    ],
    ids=["level", "dumb", "messages on the same terminal"],
)
def test_there_is_no_bar_when(
    start: Start,
    slow: dict[str, Any],
    how: dict[str, Any],
) -> None:
    terminal = on_terminal(start, slow, **how)

    assert "Kommo answered 404" in terminal
    assert "\r" not in terminal
    assert "%|" not in terminal


def test_there_is_no_bar_when_standard_error_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LOGGER, "level", logging.INFO)
    monkeypatch.setattr(sys, "stderr", None)

    assert not progress.is_for_bar(LOGGER)


def test_above_info_a_run_that_goes_well_says_nothing(
    start: Start,
) -> None:
    with Sandbox(generated_store(10, 3)) as sandbox:
        assert on_terminal(start, config_for(sandbox), LOGLEVEL="WARNING") == ""


def test_a_pipe_gets_whole_lines_and_no_control_characters(
    start: Start, seeded_sandbox: Sandbox
) -> None:
    lines = piped(start, config_for(seeded_sandbox)).splitlines()

    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines))


def test_a_structured_log_has_the_numbers(
    start: Start,
    seeded_sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    log_config = tmp_path / "logging.yaml"
    log_config.write_text(STRUCTURED, encoding="utf-8")

    log = piped(
        start, config_for(seeded_sandbox), SINGER_SDK_LOG_CONFIG=str(log_config)
    )

    lines = [json.loads(line) for line in log.splitlines()]
    (summary,) = [
        line for line in lines if line["message"].startswith("Conversations read: ")
    ]
    store = seeded_sandbox.store
    assert summary["level"] == "info"
    assert summary["logger_name"] == LOGGER.name
    assert summary["extra"]["messages"] == sum(
        map(store.size, store.conversation_ids())
    )
    assert summary["extra"]["requests"] == len(seeded_sandbox.requests)


# The metrics


METRIC = re.compile(r"METRIC: (.*)")


def metrics_of(log: str) -> list[tuple[str, str]]:
    points = [json.loads(found) for found in METRIC.findall(log)]
    return sorted((point["tags"]["stream"], point["metric"]) for point in points)


def test_a_run_logs_each_metric_of_a_stream_once(
    start: Start, seeded_sandbox: Sandbox
) -> None:
    assert metrics_of(piped(start, config_for(seeded_sandbox))) == [
        ("chat_history", "http_request_count"),
        ("chat_history", "record_count"),
        ("chat_history", "sync_duration"),
        ("conversations", "record_count"),
        ("conversations", "sync_duration"),
        ("runs", "record_count"),
        ("runs", "sync_duration"),
    ]


def test_the_log_does_not_grow_with_the_conversations(
    start: Start,
) -> None:
    lines = []
    for conversations in (160, 1000):
        with Sandbox(generated_store(conversations, 2)) as sandbox:
            lines.append(len(piped(start, config_for(sandbox)).splitlines()))

    assert lines[0] == lines[1]
