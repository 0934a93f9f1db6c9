"""Text of others forges no line, turns none around, and reaches no terminal raw."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import OWN_ORIGIN
from tap_kommo_chats.printable import is_printable
from tests.support.command import tap
from tests.support.states import known, state_of
from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from sandbox import Sandbox

    Scene: TypeAlias = Callable[[Sandbox, Path], dict[str, Any]]

A = "30477717-9f3c-4d3f-8101-60327e14dc48"
FORGED = "1999-01-01 00:00:00,000 | INFO     | tap-kommo-chats | forged"
HOSTILE = f"x\n{FORGED}\r\n\x1b[31m\x9b2J\u202e\u2066\u200b\u2028\u2029\ufeff\ud800y"
PAIRED = HOSTILE.replace("\ud800", "")
"""Without half of a surrogate pair, for what stumbles over it before it is shown."""

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \| [A-Z]+ +\| [\w.-]+ +\| .")


def error_of_the_server(sandbox: Sandbox, _: Path) -> dict[str, Any]:
    body = json.dumps({"error_type": HOSTILE, "title": HOSTILE})
    sandbox.answer = lambda _: web.Response(status=400, text=body)
    return {}


def origin_of_a_talk(sandbox: Sandbox, _: Path) -> dict[str, Any]:
    sandbox.crm.store.talks.add(7, A, origin=HOSTILE, created_at=1, updated_at=1)
    return {
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }


def ids_of_a_text(_: Sandbox, folder: Path) -> dict[str, Any]:
    path = folder / "list.txt"
    one_line = re.sub(r"[\r\n]", "", HOSTILE)
    path.write_bytes(one_line.encode("utf-8", "surrogatepass"))
    return {"conversations_file": str(path)}


def ids_of_json(_: Sandbox, folder: Path) -> dict[str, Any]:
    path = folder / "list.jsonl"
    lines = [
        {"conversation_id": HOSTILE},
        {"conversation_id": A, "updated_at": HOSTILE},
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return {"conversations_file": str(path)}


def complaint_of_a_database(_: Sandbox, folder: Path) -> dict[str, Any]:
    (folder / "chats.db").touch()
    return {
        "conversations_sql_url": f"sqlite:///{folder}/chats.db",
        "conversations_sql_query": f'SELECT * FROM "{PAIRED}"',  # noqa: S608 (the test's own)
    }


def id_of_the_settings(_: Sandbox, __: Path) -> dict[str, Any]:
    return {"conversation_ids": [HOSTILE]}


def expression_of_a_map(_: Sandbox, __: Path) -> dict[str, Any]:
    return {"stream_maps": {"chat_history": {"x": PAIRED}}}


def filter_of_a_map(_: Sandbox, __: Path) -> dict[str, Any]:
    return {"stream_maps": {"chat_history": {"__filter__": f"'''{PAIRED}'''"}}}


def name_of_a_map(_: Sandbox, __: Path) -> dict[str, Any]:
    return {"stream_maps": {HOSTILE: 5}}


def column_that_a_map_makes_twice(_: Sandbox, __: Path) -> dict[str, Any]:
    return {
        "stream_maps": {"chat_history": {f"sender{HOSTILE}name": "'x'"}},
        "flattening_enabled": True,
        "flattening_max_depth": 1,
        "flattening_separator": HOSTILE,
    }


SHOWN: list[Scene] = [
    error_of_the_server,
    origin_of_a_talk,
    complaint_of_a_database,
    id_of_the_settings,
    expression_of_a_map,
    filter_of_a_map,
    name_of_a_map,
    column_that_a_map_makes_twice,
]
LEFT_OUT: list[Scene] = [ids_of_a_text, ids_of_json]


def assert_harmless(log: str) -> None:
    lines = log.split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if not is_printable(line)] == []
    assert [line for line in lines if not LINE.match(line)] == []
    assert [line for line in lines if line.startswith(FORGED)] == []


@pytest.mark.parametrize("scene", SHOWN + LEFT_OUT)
def test_a_run_shows_it_as_text(sandbox: Sandbox, tmp_path: Path, scene: Scene) -> None:
    sandbox.store.add(A, {"timestamp": 1, "message": {"id": "m"}})
    config = {**config_for(sandbox, [A]), **scene(sandbox, tmp_path)}

    done = tap(config=config, folder=tmp_path, loglevel="DEBUG")

    assert_harmless(done.stderr)
    assert ("1999-01-01" in done.stderr) is (scene in SHOWN)
    messages = map(json.loads, done.stdout.split("\n")[:-1])
    rows = [message.get("record", {}) for message in messages]
    assert all(is_printable(row.get("error") or "") for row in rows)


@pytest.mark.parametrize(
    "bookmarks",
    [
        {HOSTILE: {}},
        {"chat_history": {HOSTILE: 1}},
        {"chat_history": {"conversations": {HOSTILE: "now"}}},
        state_of({HOSTILE: known(1, 1)})["bookmarks"],
        {"chat_history": {"owed": {HOSTILE: 1}}},
        {"chat_history": {"searched_until": {HOSTILE: -1}}},
        {"chat_history": {"shard": HOSTILE}},
        {"chat_history": HOSTILE},
    ],
    ids=["stream", "part", "time", "id", "owed", "origin", "shard", "no object"],
)
def test_a_broken_state_is_shown_as_text(
    sandbox: Sandbox, tmp_path: Path, bookmarks: dict[str, Any]
) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"bookmarks": bookmarks}), encoding="utf-8")

    done = tap(
        *("--state", str(path)),
        config=config_for(sandbox, [A]),
        folder=tmp_path,
        loglevel="DEBUG",
    )

    assert done.returncode == 1
    assert_harmless(done.stderr)
