"""Places in which something is missing that others have."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.command import COMMAND, tap, told
from tests.support.foreign_project import ForeignProject
from tests.support.marks import LONG
from tests.support.meltano_project import ROOT, settings_for, without_settings
from tests.support.resigning import ResigningProxy
from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import Sandbox

NO_HOME = {"HOME": "/proc/none"}
MOUNT = "mount --bind {0} {0} && mount -o remount,ro,bind {0} && "
(BLOCK,) = re.findall(
    r"(?ms)^```sh\n(.*?)^```", (ROOT / "docs" / "anywhere.md").read_text("utf-8")
)
HOST = "amojo.example.com"


def may_mount() -> bool:
    unshare = shutil.which("unshare")
    return unshare is not None and (
        subprocess.run(
            [unshare, "-m", "sh", "-c", MOUNT.format("/var/tmp") + "true"],  # noqa: S108 (seen by nobody else)
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )


needs_mounts = pytest.mark.skipif(
    not may_mount(), reason="nothing may be mounted read-only here"
)
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="there is no openssl"
)


@needs_mounts
def test_the_tap_needs_neither_a_home_nor_a_folder_for_temporary_files(
    seeded_sandbox: Sandbox, tmp_path: Path
) -> None:
    read_only = "".join(MOUNT.format(folder) for folder in ("/tmp", "/var/tmp"))  # noqa: S108 (seen by nobody else)
    command = ("unshare", "-m", "sh", "-c", f'{read_only} "$@"', "sh", *COMMAND)

    done = tap(
        config=config_for(seeded_sandbox),
        folder=tmp_path,
        command=command,
        env=NO_HOME,
    )

    assert done.returncode == 0, done.stderr
    assert '"type":"RECORD","stream":"chat_history"' in done.stdout


@needs_mounts
def test_a_run_that_needs_a_temporary_folder_names_the_variable_where_there_is_none(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    ids = (f"30477717-9f3c-4d3f-8101-{number:012}" for number in range(60_000))
    path.write_text("\n".join(ids), encoding="utf-8")
    read_only = "".join(MOUNT.format(folder) for folder in ("/tmp", "/var/tmp"))  # noqa: S108 (seen by nobody else)
    # The last one that is tried is the current one.
    script = f'{read_only} cd /proc; "$@"'
    command = ("unshare", "-m", "sh", "-c", script, "sh", *COMMAND)
    config = {**config_for(sandbox, ["a"]), "conversations_file": str(path)}

    done = tap(
        config=config, folder=tmp_path, command=command, env={"TMPDIR": "/proc/none"}
    )

    assert told(done).endswith("or name another folder in TMPDIR")


@LONG
@needs_mounts
def test_a_project_that_cannot_be_written_runs_as_the_documents_say(
    seeded_sandbox: Sandbox, tmp_path: Path
) -> None:
    project, writable = tmp_path / "project", tmp_path / "writable"
    project.mkdir()
    ForeignProject(project)
    files = tmp_path / "files"
    block = BLOCK.replace("/var/tmp/kommo", str(writable))  # noqa: S108 (replaced)
    script = f"{MOUNT.format(project)} cd {project}; {block}"
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # noqa: PTH120 (not resolved)

    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script],  # noqa: S607 (looked up above)
        env={
            **without_settings(os.environ),
            **settings_for(seeded_sandbox, seeded_sandbox.store.conversation_ids()[:3]),
            **NO_HOME,
            "PATH": path,
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "TARGET_JSONL_DESTINATION_PATH": str(files),
        },
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(files.glob("chat_history*.jsonl"))


@pytest.fixture
def proxy(seeded_sandbox: Sandbox, tmp_path: Path) -> Iterator[ResigningProxy]:
    port = urlsplit(seeded_sandbox.url).port
    assert port is not None
    with ResigningProxy(HOST, port, tmp_path) as server:
        yield server


@needs_openssl
def test_a_proxy_that_signs_anew_is_told_with_the_variable_for_its_ca(
    seeded_sandbox: Sandbox, proxy: ResigningProxy, tmp_path: Path
) -> None:
    config = {**config_for(seeded_sandbox), "api_url": f"https://{HOST}"}

    done = tap(config=config, folder=tmp_path, env={"HTTPS_PROXY": proxy.url})

    assert "name the CA of a proxy that signs anew in REQUESTS_CA_BUNDLE" in told(done)


@needs_openssl
def test_with_its_ca_a_proxy_that_signs_anew_is_read_through(
    seeded_sandbox: Sandbox, proxy: ResigningProxy, tmp_path: Path
) -> None:
    config = {**config_for(seeded_sandbox), "api_url": f"https://{HOST}"}

    done = tap(
        config=config,
        folder=tmp_path,
        env={"HTTPS_PROXY": proxy.url, "REQUESTS_CA_BUNDLE": str(proxy.bundle)},
    )

    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert [r for r in records if r["type"] == "RECORD"]


def test_set_up_without_an_index_names_the_variables(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    make = shutil.which("make")
    assert make

    done = subprocess.run(
        [make, "setup", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={
            **os.environ,
            **NO_HOME,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "https://127.0.0.1:1/simple",
            "PIP_RETRIES": "0",
        },
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=120,
    )

    assert done.returncode != 0
    assert "SSL_CERT_FILE (uv) and PIP_CERT (pip)" in done.stderr
    assert not (tmp_path / ".tools" / "uv" / "site-packages" / "bin").exists()


@LONG
def test_all_that_is_set_up_lies_in_the_project(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    home.mkdir()
    shutil.copytree(
        ROOT,
        project,
        # What is in no commit, and what setting up does not need.
        ignore=shutil.ignore_patterns(".*", "__pycache__", "tests", "output", "dist"),
    )
    make = shutil.which("make")
    assert make
    env = {
        name: value
        for name, value in os.environ.items()
        if not re.match("XDG_|PIP_CACHE_DIR|UV_CACHE_DIR", name)
        # Other tools of a developer keep things at home as soon as they are asked.
    } | {"HOME": str(home), "PATH": "/usr/bin:/bin"}

    def made(*arguments: str) -> str:
        return subprocess.run(
            [make, *arguments, f"PYTHON={sys.executable}"],
            cwd=project,
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            timeout=300,
        ).stdout

    cache = made("--silent", "--eval=cache: ; echo $$UV_CACHE_DIR", "cache")
    # What this folder has need not be fetched once more.
    made("setup", f"UV_CACHE_DIR={ROOT / '.uv-cache'}")

    assert Path(cache.strip()).is_relative_to(project)
    assert (project / ".venv" / "bin" / "tap-kommo-chats").exists()
    assert not list(home.rglob("*"))
