"""Whatever goes wrong around the tap is one line for an operator, and no traceback."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tap_kommo_chats.telling import LINES_AT_MOST
from tap_kommo_chats.times import CALENDAR_MS, DAY_MS
from tests.support.command import in_shell, tap, told
from tests.support.states import known, state_of
from tests.support.tap import config_for

if TYPE_CHECKING:
    from sandbox import SeenRequest
    from sandbox.server import Sandbox
    from tests.support.postgres import PostgresServer

FULL = Path("/dev/full")
A = "30477717-9f3c-4d3f-8101-60327e14dc48"
MANY = 60_000
"""Conversations of which SQLite's cache does not hold all."""


@pytest.fixture
def config(seeded_sandbox: Sandbox) -> dict[str, Any]:
    return config_for(seeded_sandbox)


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has it")
@pytest.mark.parametrize("arguments", [(), ("--test",), ("--discover",), ("--check",)])
def test_a_standard_output_that_is_full_is_told(
    config: dict[str, Any], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    command = in_shell(f'"$@" >{FULL}')

    done = tap(*arguments, config=config, folder=tmp_path, command=command)

    line = told(done)
    assert line.startswith("Standard output cannot be written (No space left on device")


@pytest.mark.parametrize("arguments", [(), ("--discover",)])
def test_a_standard_output_that_was_closed_at_the_start_is_told(
    config: dict[str, Any], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    command = in_shell('"$@" >&-')

    done = tap(*arguments, config=config, folder=tmp_path, command=command)

    assert told(done) == "Standard output is closed: let it lead to a target"


def test_a_standard_error_that_is_closed_stops_nothing(
    config: dict[str, Any], tmp_path: Path
) -> None:
    done = tap(config=config, folder=tmp_path, command=in_shell('"$@" 2>&-'))

    assert done.returncode == 0
    assert '"type":"RECORD","stream":"chat_history"' in done.stdout


def test_no_room_for_temporary_files_is_told_with_the_folder(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    ids = (f"{A[:-12]}{number:012}" for number in range(MANY))
    path.write_text("\n".join(ids), encoding="utf-8")
    config = config_for(sandbox, ["a"]) | {"conversations_file": str(path)}

    done = tap(
        config=config,
        folder=tmp_path,
        command=in_shell('ulimit -f 8 && "$@"'),
        env={"TMPDIR": str(tmp_path)},
    )

    assert told(done).startswith(f"What the run knows cannot be kept in {tmp_path} (")
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("request_timeout", "2.5"), ("lookback_days", ""), ("max_concurrency", "8x")),
        *(("flattening_max_depth", "x"), ("flattening_enabled", "maybe")),
    ],
)
def test_a_setting_of_the_environment_that_is_of_another_kind_is_named(
    tmp_path: Path, config: dict[str, Any], name: str, value: str
) -> None:
    done = tap(
        "--config",
        "ENV",
        config=config,
        folder=tmp_path,
        env={f"TAP_KOMMO_CHATS_{name.upper()}": value},
    )

    assert told(done).startswith(f"{name} is not ")


@pytest.mark.parametrize("name", ["request_timeout", "flattening_max_depth"])
def test_a_setting_of_a_file_that_is_no_integer_is_named(
    tmp_path: Path, config: dict[str, Any], name: str
) -> None:
    done = tap(config={**config, name: 2.5}, folder=tmp_path)

    assert told(done).startswith(f"{name} is not ")


@pytest.mark.parametrize("name", ["stream_maps", "stream_map_config"])
def test_a_setting_of_the_environment_that_is_no_object_is_named_and_not_shown(
    tmp_path: Path, config: dict[str, Any], name: str
) -> None:
    done = tap(
        "--config",
        "ENV",
        config=config,
        folder=tmp_path,
        env={f"TAP_KOMMO_CHATS_{name.upper()}": '{"hush'},
    )

    line = told(done)
    assert line.startswith(f"{name} is not ")
    assert "hush" not in line


@pytest.mark.parametrize(
    ("option", "content", "flaw"),
    [
        ("--config", None, "is not there"),
        ("--config", b"", "is empty"),
        ("--config", b'{"channel_secret":\n "hush', "is no JSON (line 2, column 2)"),
        ("--state", None, "is not there"),
        ("--state", b"", "is empty"),
        ("--state", b'{"hush', "is no JSON (line 1, column 2)"),
        ("--state", b"[]", "holds a list and no JSON object"),
        ("--catalog", b"\xff", "is no text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_its_name(
    config: dict[str, Any],
    tmp_path: Path,
    option: str,
    content: bytes | None,
    flaw: str,
) -> None:
    path = tmp_path / "given.json"
    if content is not None:
        path.write_bytes(content)

    done = tap(option, str(path), config=config, folder=tmp_path)

    line = told(done)
    assert line.startswith(f"{option} names {path}, which {flaw}: ")
    assert "hush" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--test",), ("--check",)])
def test_a_folder_in_place_of_a_file_is_told(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    line = told(tap("--config", str(tmp_path), *arguments))

    assert line.startswith(f"--config names {tmp_path}, which cannot be read (Is a dir")


def test_an_unknown_setting_of_a_file_is_refused_with_the_nearest(
    config: dict[str, Any], tmp_path: Path
) -> None:
    done = tap(config={**config, "requests_per_secnd": 3}, folder=tmp_path)

    assert told(done) == (
        "requests_per_secnd is no setting of the tap: write requests_per_second"
    )


def test_an_unknown_setting_of_the_environment_is_a_warning(
    config: dict[str, Any], tmp_path: Path
) -> None:
    wrong = {"TAP_KOMMO_CHATS_REQUESTS_PER_SECND": "3"}

    done = tap(config=config, folder=tmp_path, env=wrong)

    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if " | WARNING " in line]
    assert sum("REQUESTS_PER_SECND is set and is no" in line for line in warnings) == 1


@pytest.mark.parametrize(
    "state",
    [
        state_of({A: known(CALENDAR_MS.stop, CALENDAR_MS.stop)}),
        state_of({A: known(1, CALENDAR_MS.stop)}),
        state_of({A: known(1, DAY_MS, acted_ms=CALENDAR_MS.stop)}),
        state_of({A: known(1, 1)}, searched_until_ms=10**30),
    ],
    ids=["newest", "read", "acted", "searched"],
)
def test_a_state_with_times_beyond_the_calendar_is_told(
    config: dict[str, Any], tmp_path: Path, state: dict[str, Any]
) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(state), encoding="utf-8")

    done = tap("--state", str(path), config=config, folder=tmp_path)

    assert told(done).startswith("The state cannot be used: ")


def test_infinity_in_a_database_is_told_and_its_conversation_is_read(
    sandbox: Sandbox, postgres: PostgresServer, tmp_path: Path
) -> None:
    sandbox.store.add(A, {"timestamp": 1, "message": {"id": "m"}})
    query = f"SELECT '{A}' AS conversation_id, 'infinity'::timestamptz AS updated_at"
    more = {
        "conversations_sql_url": postgres.url("postgres"),
        "conversations_sql_query": query,
    }

    done = tap(config={**config_for(sandbox), **more}, folder=tmp_path)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Row 1 of conversations_sql_query has an updated_at") == 1
    assert done.stdout.count('"type":"RECORD","stream":"chat_history"') == 1


def test_a_level_that_is_none_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    done = tap(config=config, folder=tmp_path, loglevel="loud")

    assert told(done).startswith("The log cannot be set up: check TAP_KOMMO_CHATS_LOG")


def test_a_map_that_does_not_go_with_flattening_is_told(
    config: dict[str, Any], tmp_path: Path
) -> None:
    maps = {"chat_history": {"sender__name": "sender['name']"}}
    more = {"stream_maps": maps, "flattening_enabled": True, "flattening_max_depth": 1}

    done = tap(config={**config, **more}, folder=tmp_path)

    line = told(done)
    assert line.startswith("stream_maps cannot be used (")
    assert "sender__name" in line


@pytest.mark.parametrize(
    "maps", [{"chat_history": {"x": ""}}, {"chat_history": {"__else__": "x"}}]
)
def test_a_map_that_the_sdk_stumbles_over_is_told(
    config: dict[str, Any], tmp_path: Path, maps: dict[str, Any]
) -> None:
    done = tap(config={**config, "stream_maps": maps}, folder=tmp_path)

    assert told(done).startswith("stream_maps cannot be ")


def test_an_expression_that_fails_is_told_without_the_message(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    message = {"id": "m", "type": "text", "text": "Bom dia"}
    sandbox.store.add(A, {"timestamp": 1, "message": message})
    maps = {"chat_history": {"x": "int(message['text'])"}}

    done = tap(config={**config_for(sandbox), "stream_maps": maps}, folder=tmp_path)

    line = told(done)
    assert line.startswith("stream_maps cannot be applied to a record of chat_history")
    assert "Bom dia" not in done.stderr


def test_a_retry_is_one_line_and_a_failure_one_more(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.store.add(A, {"timestamp": 1, "message": {"id": "m"}})
    sandbox.answer = lambda _: web.Response(status=503)

    done = tap(
        config=config_for(sandbox),
        folder=tmp_path,
        command=(sys.executable, "-c", WITHOUT_PAUSES),
    )

    lines = [line for line in done.stderr.splitlines() if "answered 503" in line]
    assert [
        re.findall(r"\(attempt (\d) of 6, next in 0\.\d s\)$", line) for line in lines
    ] == [["1"], ["2"], ["3"], ["4"], ["5"], []]
    assert all(" | INFO " in line for line in lines[:-1])
    assert "(given up after 6 attempt(s))" in lines[-1]


WITHOUT_PAUSES = """
from tap_kommo_chats.kommo import host
from tap_kommo_chats.process import main
host.LONGEST_WAIT = 0.01
main()
"""


def test_retries_without_end_are_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    for number in range(40):
        sandbox.store.add(
            f"{A[:-3]}{number:03}", {"timestamp": 1, "message": {"id": "m"}}
        )
    asked: set[str] = set()

    def refuse_once(request: SeenRequest) -> web.Response | None:
        is_new = request.target not in asked
        asked.add(request.target)
        return web.Response(status=503) if is_new else None

    sandbox.answer = refuse_once

    done = tap(
        config=config_for(sandbox),
        folder=tmp_path,
        command=(sys.executable, "-c", WITHOUT_PAUSES),
    )

    assert done.returncode == 0
    assert done.stderr.count("(attempt 1 of 6, ") == LINES_AT_MOST
    assert "... and 20 more: requests that were sent again" in done.stderr
