"""What the documents tell to do by hand, without Meltano: word for word, in a shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.marks import LONG
from tests.support.meltano_project import ROOT, share_plugins, without_settings
from tests.support.tap import config_for

if TYPE_CHECKING:
    from sandbox import Sandbox

BIN = Path(sys.executable).parent
SERVE, READ = re.findall(
    r"(?ms)^```sh\n(.*?)\n^```", (ROOT / "docs" / "sandbox.md").read_text("utf-8")
)
STATE = (ROOT / "docs" / "state.md").read_text("utf-8")
ONCE, EACH_TIME, *_ = re.findall(
    r"(?ms)^```sh\n(.*?)\n^```", STATE.partition("## Without Meltano")[2]
)
COMMANDS = (SERVE, READ, ONCE, *EACH_TIME.splitlines())


def shell(line: str, folder: Path, *paths: Path) -> subprocess.Popen[str]:
    sh = shutil.which("sh")
    assert sh
    path = os.pathsep.join([*map(str, paths), str(BIN), os.environ["PATH"]])
    return subprocess.Popen(
        [sh, "-ec", line],
        cwd=folder,
        env={**without_settings(os.environ), "PATH": path, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def ended(line: str, folder: Path, *paths: Path) -> str:
    with shell(line, folder, *paths) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def test_the_sandbox_is_started_and_read_by_hand(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    with shell(f"exec {SERVE}", tmp_path) as server:
        while not (tmp_path / "sandbox.env").exists():
            assert server.poll() is None
            time.sleep(0.05)

        # It has no limit, and this test no time.
        ended(f"export TAP_KOMMO_CHATS_REQUESTS_PER_SECOND=0; {READ}", tmp_path)

        server.terminate()
        assert server.wait(30) == 0
    lines = (tmp_path / "messages.jsonl").read_text("utf-8").split("\n")[:-1]
    streams = {m["stream"] for m in map(json.loads, lines) if m["type"] == "RECORD"}
    assert {"chat_history", "talk_messages", "leads", "users"} <= streams


@LONG
def test_a_pipe_into_a_target_goes_on_where_the_last_one_ended(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    share_plugins(tmp_path)
    target = tmp_path / "loaders" / "target-jsonl" / "venv" / "bin"
    id_ = "30477717-9f3c-4d3f-8101-60327e14dc48"
    sandbox.store.add(id_, {"timestamp": 1_700_000_000, "message": {"id": "m"}})
    config = json.dumps(config_for(sandbox))
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    ended(ONCE, tmp_path)

    first = ended(EACH_TIME, tmp_path, target)
    second = ended(EACH_TIME, tmp_path, target)

    assert "messages: 1, requests: 1" in first
    assert "messages: 0" in second
    state = json.loads((tmp_path / "state.json").read_text("utf-8"))
    assert id_ in state["bookmarks"]["chat_history"]["conversations"]


@LONG
def test_a_pipe_that_loads_nothing_keeps_the_old_state(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    share_plugins(tmp_path)
    target = tmp_path / "loaders" / "target-jsonl" / "venv" / "bin"
    config = json.dumps({**config_for(sandbox, ["a"]), "scope_id": ""})
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")

    with shell(EACH_TIME, tmp_path, target) as process:
        said, _ = process.communicate(timeout=120)

    assert "scope_id is empty" in said
    assert (tmp_path / "state.json").read_text("utf-8") == "{}"
