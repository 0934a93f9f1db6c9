"""A mask that is set in Meltano is on, in whatever way it was set.

Each is run as an operator runs it, in a project of its own that has the tap's block.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.foreign_project import ForeignProject
from tests.support.marks import LONG
from tests.support.meltano_project import TAP, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

NULLS = {"chat_history": {"sender": None, "receiver": "__NULL__"}}
PHONE = "5511987654321"


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, str]:
    sandbox.store.add(
        "30477717-9f3c-4d3f-8101-60327e14dc48",
        {
            "timestamp": 1_700_000_000,
            "sender": {"id": "s", "name": "Ana", "phone": PHONE},
            "receiver": {"id": "r", "phone": PHONE},
            "message": {"id": "m", "type": "text", "text": "words"},
        },
    )
    return settings_for(sandbox)


def loaded(
    folder: Path, settings: dict[str, str], config: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Load the one message into a file, and return its record."""
    project = ForeignProject(folder, config or {})
    ended = project.meltano("run", "--no-install", TAP, "target-jsonl", env=settings)
    assert ended.code == 0, ended.said
    (line,) = (folder / "chat_history.jsonl").read_text("utf-8").splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


@LONG
def test_a_map_of_the_environment_is_on(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    settings["TAP_KOMMO_CHATS_STREAM_MAPS"] = json.dumps(NULLS)

    assert {"sender", "receiver"}.isdisjoint(loaded(tmp_path, settings))


@LONG
def test_a_map_of_meltano_yml_is_on_though_it_says_null(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    record = loaded(tmp_path, settings, {"stream_maps": NULLS})

    assert PHONE not in json.dumps(record)
    assert record["message"]["text"] == "words"


@LONG
def test_what_maps_are_given_by_the_environment_reaches_them(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    maps = {"who": "sha256(config['pepper'] + sender['phone'])", "sender": None}
    settings["TAP_KOMMO_CHATS_STREAM_MAPS"] = json.dumps({"chat_history": maps})
    settings["TAP_KOMMO_CHATS_STREAM_MAP_CONFIG"] = json.dumps({"pepper": "pepper"})

    hashed = hashlib.sha256(f"pepper{PHONE}".encode()).hexdigest()
    assert loaded(tmp_path, settings)["who"] == hashed


@LONG
def test_flattening_of_the_environment_is_on(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    settings["TAP_KOMMO_CHATS_FLATTENING_ENABLED"] = "true"
    settings["TAP_KOMMO_CHATS_FLATTENING_MAX_DEPTH"] = "1"

    assert loaded(tmp_path, settings)["sender__phone"] == PHONE


@LONG
def test_a_check_of_meltanos_takes_the_maps_as_a_run_does(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    project = ForeignProject(tmp_path, {"stream_maps": NULLS})

    ended = project.meltano("invoke", "--no-install", f"{TAP}:check", env=settings)

    assert ended.code == 0, ended.said
