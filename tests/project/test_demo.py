"""The demo."""

from __future__ import annotations

import runpy
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.meltano_project import ROOT, settings_for, share_plugins
from tests.support.onlooker import Onlooker

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="the DuckDB loader is not built for 3.14"
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_the_demo_keeps_settings_and_messages_to_its_user(
    seeded_sandbox: Sandbox, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "meltano.yml", tmp_path)
    meltano = tmp_path / ".meltano"
    meltano.mkdir()
    share_plugins(meltano)
    onlooker = Onlooker(meltano, seeded_sandbox.secret)
    seeded_sandbox.answer = onlooker
    (one, *_) = seeded_sandbox.store.conversation_ids()
    demo = runpy.run_path(str(ROOT / "scripts" / "demo.py"))
    load, database = demo["load"], tmp_path / "demo.duckdb"
    load.__globals__.update(ROOT=tmp_path, DATABASE=database)

    with (tmp_path / "demo.log").open("w", encoding="utf-8") as log:
        load(settings_for(seeded_sandbox, [one]), log)

    assert onlooker.hidden
    assert not onlooker.open
    assert database.stat().st_mode & 0o077 == 0
