"""The DAG's own Meltano, without Airflow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from airflow_kommo_chats.meltano import LoadError, Meltano
from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.words import TAP
from tests.support.meltano_project import settings_for, share_plugins
from tests.support.onlooker import Onlooker

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Airflow does not run on Windows"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Meltano's own folder."""
    found = tmp_path / "meltano"
    found.mkdir()
    share_plugins(found)
    monkeypatch.setenv("MELTANO_SYS_DIR_ROOT", str(found))
    return found


def load(sandbox: Sandbox, folder: Path, **more: str) -> list[str]:
    """Load one conversation into files, and return what was told."""
    (one, *_) = sandbox.store.conversation_ids()
    told: list[str] = []
    Meltano(told.append).run(
        *("el", "--state-id=north", "--no-install", TAP, "target-jsonl"),
        settings={
            **settings_for(sandbox, [one]),
            "TARGET_JSONL_DESTINATION_PATH": str(folder.parent),
            **more,
        },
    )
    return told


def test_settings_that_meltano_gets_from_the_dag_are_for_its_user_alone(
    seeded_sandbox: Sandbox, folder: Path
) -> None:
    onlooker = Onlooker(folder, seeded_sandbox.secret)
    seeded_sandbox.answer = onlooker

    told = load(seeded_sandbox, folder)

    assert any("Conversations read: 1" in line for line in told)
    assert onlooker.hidden
    assert not onlooker.open


def test_a_load_that_failed_says_why_in_the_taps_own_last_line(
    seeded_sandbox: Sandbox, folder: Path
) -> None:
    nobody = {"TAP_KOMMO_CHATS_API_URL": "http://127.0.0.1:9"}

    with pytest.raises(LoadError, match=r"^http://127\.0\.0\.1:9 refuses connections"):
        load(seeded_sandbox, folder, **nobody)


def test_a_mistake_in_the_settings_is_told_from_what_may_pass(
    seeded_sandbox: Sandbox, folder: Path
) -> None:
    with pytest.raises(MistakeError, match=r"^shard is no part of a whole"):
        load(seeded_sandbox, folder, TAP_KOMMO_CHATS_SHARD="9/8")
