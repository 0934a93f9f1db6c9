"""How a run ends before its end: signals, a target that goes, a kill."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pytest

from sandbox import OWN_ORIGIN
from tests.support.marks import LONG
from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox import CrmRequest, PageRequest, Sandbox

# STATE goes out after each conversation and not every ten seconds, so that a run of a
# second has some.
TAP = """
import tap_kommo_chats.state.checkpoint as checkpoint
from tap_kommo_chats.process import main
checkpoint.OFTEN_SECONDS = 0.0
checkpoint.SHARE_OF_RUN = 1.0
main()
"""
# A thread that does nothing takes the signal, so that it interrupts no call. Nor does
# one that the main thread takes just before a call that waits.
UNINTERRUPTED = f"""
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
{TAP}
"""
# Five seconds are promised. A busy machine is late to start what ends the run, and late
# to tell.
AT_MOST = 15.0
OLD = 1_600_000_000


def fill(sandbox: Sandbox, conversations: int, messages: int) -> None:
    for conversation in range(conversations):
        for number in range(messages):
            sandbox.store.add(
                f"c{conversation}",
                {
                    "timestamp": OLD + 60 * number,
                    "message": {"id": f"c{conversation}-{number}", "text": "words"},
                },
            )


@contextmanager
def started(
    config: dict[str, Any],
    folder: Path,
    state: dict[str, Any] | None = None,
    *,
    script: str = TAP,
    output: IO[bytes] | int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run, which is gone after the block, whatever happens in it."""
    arguments = []
    for name, content in (("config", config), ("state", state)):
        if content:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
            arguments += [f"--{name}", str(path)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments], stdout=output, stderr=log
        ) as tap,
    ):
        try:
            yield tap
        finally:
            tap.kill()


def rest_of(output: IO[bytes] | None) -> list[dict[str, Any]]:
    """Read whole lines to the end; a last one that was cut is not one."""
    assert output is not None
    with output:
        return [json.loads(line) for line in output.read().split(b"\n")[:-1]]


def last_state(lines: list[dict[str, Any]]) -> dict[str, Any]:
    states: list[dict[str, Any]] = [
        line["value"] for line in lines if line["type"] == "STATE"
    ]
    return states[-1] if states else {}


def wait_for_records(tap: subprocess.Popen[bytes], count: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    while sum(line["type"] == "RECORD" for line in lines) < count:
        assert tap.stdout is not None
        lines.append(json.loads(tap.stdout.readline()))
    return lines


@contextmanager
def target_that_hangs() -> Iterator[IO[bytes]]:
    """Make a pipe that nobody reads, and give what is written to."""
    unread, written = os.pipe()
    with os.fdopen(unread, "rb"), os.fdopen(written, "wb", buffering=0) as output:
        yield output


def wait_until_full(pipe: IO[bytes], tap: subprocess.Popen[bytes]) -> None:
    """Wait until a run waits for its target, and for nothing else."""
    while select.select([], [pipe], [], 0)[1]:
        assert tap.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_the_state_of_what_is_done(
    sandbox: Sandbox, tmp_path: Path, number: signal.Signals
) -> None:
    fill(sandbox, 300, 5)
    config = {**config_for(sandbox), "requests_per_second": 20}

    with started(config, tmp_path) as tap:
        lines = wait_for_records(tap, 50)
        tap.send_signal(number)
        asked = time.monotonic()
        lines += rest_of(tap.stdout)
        code = tap.wait(AT_MOST)

    assert time.monotonic() - asked < AT_MOST
    assert code == 128 + number
    done = last_state(lines)["bookmarks"]["chat_history"]["conversations"]
    loaded = {line["record"]["message_id"] for line in lines if "record" in line}
    assert len(done) >= 5
    assert {f"{name}-{n}" for name in done for n in range(5)} <= loaded
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_signal_ends_a_run_whose_server_hangs(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox, 20, 5)
    release = threading.Event()
    hangs = threading.Event()

    def hang(asked: PageRequest) -> None:
        if asked.conversation_id == "c9":
            hangs.set()
            release.wait()

    sandbox.chats.before_page = hang
    with started(config_for(sandbox), tmp_path) as tap:
        try:
            assert hangs.wait(30)
            tap.send_signal(signal.SIGTERM)
            assert tap.wait(AT_MOST) == 128 + signal.SIGTERM
        finally:
            release.set()


def test_a_signal_ends_a_run_whose_target_hangs(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox, 300, 50)
    with (
        target_that_hangs() as output,
        started(config_for(sandbox), tmp_path, output=output) as tap,
    ):
        wait_until_full(output, tap)
        tap.send_signal(signal.SIGTERM)

        assert tap.wait(AT_MOST) == 128 + signal.SIGTERM


def test_a_signal_that_interrupts_no_call_ends_a_run_whose_target_hangs(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox, 300, 50)
    with (
        target_that_hangs() as output,
        started(
            config_for(sandbox), tmp_path, script=UNINTERRUPTED, output=output
        ) as tap,
    ):
        wait_until_full(output, tap)
        tap.send_signal(signal.SIGTERM)

        assert tap.wait(AT_MOST) == 128 + signal.SIGTERM


def test_a_target_that_goes_ends_the_run(sandbox: Sandbox, tmp_path: Path) -> None:
    fill(sandbox, 300, 5)
    config = {**config_for(sandbox), "requests_per_second": 20}
    with started(config, tmp_path) as tap:
        wait_for_records(tap, 5)
        assert tap.stdout is not None
        tap.stdout.close()

        assert tap.wait(AT_MOST) == 1
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "The target has gone away" in log
    assert "Traceback" not in log


def test_a_target_that_goes_while_nothing_comes_ends_the_run(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox, 3, 5)
    release = threading.Event()
    hangs = threading.Event()

    def hang(_asked: PageRequest) -> None:
        hangs.set()
        release.wait()

    sandbox.chats.before_page = hang
    with started(config_for(sandbox), tmp_path) as tap:
        try:
            assert hangs.wait(30)
            assert tap.stdout is not None
            tap.stdout.close()
            assert tap.wait(AT_MOST) == 1
        finally:
            release.set()


def lines_before_a_kill(
    config: dict[str, Any], folder: Path, state: dict[str, Any], count: int
) -> list[dict[str, Any]]:
    """Kill a run after some lines, and return all that it wrote."""
    with started(config, folder, state) as tap:
        lines = []
        assert tap.stdout is not None
        for _ in range(count):
            line = tap.stdout.readline()
            if not line.endswith(b"\n"):
                break
            lines.append(json.loads(line))
        tap.kill()
        return lines + rest_of(tap.stdout)


@LONG
def test_a_run_killed_at_any_moment_and_resumed_misses_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    conversations, messages, kills = 200, 6, 50
    fill(sandbox, conversations, messages)
    config = {**config_for(sandbox), "requests_per_second": 250}
    moments = random.Random(7)  # noqa: S311 (which moments does not matter)
    loaded: set[str] = set()
    state: dict[str, Any] = {}

    for _ in range(kills):
        lines = lines_before_a_kill(config, tmp_path, state, moments.randrange(1, 60))
        loaded |= {
            line["record"]["message_id"]
            for line in lines
            if line["type"] == "RECORD" and line["stream"] == "chat_history"
        }
        state = last_state(lines) or state
    with started(config, tmp_path, state) as tap:
        lines = rest_of(tap.stdout)
        assert tap.wait() == 0

    loaded |= {
        line["record"]["message_id"]
        for line in lines
        if line["type"] == "RECORD" and line["stream"] == "chat_history"
    }
    assert loaded == {
        f"c{conversation}-{number}"
        for conversation in range(conversations)
        for number in range(messages)
    }


def test_a_signal_breaks_into_waiting_for_the_crm(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(sandbox, 3, 1)
    for number in range(3):
        sandbox.crm.store.talks.add(
            number + 1, f"c{number}", created_at=OLD, updated_at=OLD
        )
        sandbox.crm.store.events.add(OLD, talk_id=number + 1)
    sandbox.crm.max_limit = 1
    waiting, go_on = threading.Event(), threading.Event()

    def hang(asked: CrmRequest) -> None:
        if asked.endpoint == "/api/v4/events" and asked.page == 3:
            waiting.set()
            go_on.wait(timeout=60)

    sandbox.crm.before_page = hang
    config = config_for(sandbox, ["c0"]) | {
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }
    with started(config, tmp_path) as tap:
        try:
            assert waiting.wait(timeout=30)
            stopped = time.monotonic()
            tap.send_signal(signal.SIGTERM)
            lines = rest_of(tap.stdout)

            assert tap.wait() == 128 + signal.SIGTERM
            assert time.monotonic() - stopped < AT_MOST
            assert last_state(lines)
        finally:
            go_on.set()


@LONG
def test_reading_talks_that_is_killed_and_resumed_misses_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    talks, messages, kills = 60, 5, 20
    crm = sandbox.crm.store
    served = set()
    for talk_id in range(1, talks + 1):
        crm.open_talk(talk_id, f"c{talk_id}", OLD, origin="waba")
        for number in range(messages):
            served.add(crm.add_message(talk_id, OLD + 60 * number))
    config = {
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "native_channels": True,
        "requests_per_second": 250,
    }
    moments = random.Random(7)  # noqa: S311 (which moments does not matter)
    loaded: set[str] = set()
    state: dict[str, Any] = {}

    for _ in range(kills):
        lines = lines_before_a_kill(
            config, tmp_path, state, moments.randrange(600, 800)
        )
        loaded |= spoken(lines)
        state = last_state(lines) or state
    with started(config, tmp_path, state) as tap:
        lines = rest_of(tap.stdout)
        assert tap.wait() == 0

    assert loaded | spoken(lines) == served


def spoken(lines: list[dict[str, Any]]) -> set[str]:
    """The messages of talks that a run wrote."""
    return {
        line["record"]["message_id"]
        for line in lines
        if line["type"] == "RECORD" and line["stream"] == "talk_messages"
    }


# What takes long to import is where a signal in the first second comes.
EARLY = """
import importlib.abc, os, sys
class Signal(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "singer_sdk.tap_base":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Signal())
from tap_kommo_chats.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_run_has_begun_ends_as_one_later(
    number: signal.Signals,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY.format(number=int(number))],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )

    assert done.returncode == 128 + number
    (line,) = done.stderr.splitlines()
    assert line.endswith(f" | WARNING  | tap-kommo-chats | Stopped by signal {number}")
    assert not done.stdout


def test_what_makes_a_signal_end_the_process_is_imported_at_once() -> None:
    script = "import sys, tap_kommo_chats.__main__; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )

    assert {name.partition(".")[0] for name in done.stdout.split()}.isdisjoint(
        {"singer_sdk", "click", "requests", "msgspec"}
    )
