"""The tap in a Meltano project of somebody else's, from `meltano init` on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox import Sandbox, seeded_crm, seeded_store
from tests.support.hub import Hub
from tests.support.marks import LONG
from tests.support.meltano_project import ROOT, TAP, without_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "tap-kommo-chats"
COMMANDS = ("meltano init", "meltano add", "meltano add", "meltano run")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tap's folder is in, with what `make dist` makes."""
    folder = tmp_path_factory.mktemp("place")
    make = shutil.which("make")
    assert make
    subprocess.run(
        [make, "dist", f"DIST={folder / FOLDER / 'dist'}", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        # It needs no home.
        env={**os.environ, "HOME": "/proc/none"},
        check=True,
        timeout=300,
    )
    return folder


@pytest.fixture(scope="module")
def environment(place: Path, sandbox: dict[str, str]) -> Iterator[dict[str, str]]:
    with Hub() as hub:
        yield {
            **without_settings(os.environ),
            **sandbox,
            "HOME": str(place / "home"),
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "MELTANO_HUB_URL": hub.url,
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
        }


@pytest.fixture(scope="module")
def sandbox() -> Iterator[dict[str, str]]:
    """The values of a sandbox, as in `.env`."""
    store = seeded_store()
    with Sandbox(store, seeded_crm(store)) as server:
        yield {
            "TAP_KOMMO_CHATS_CRM_URL": server.url,
            "TAP_KOMMO_CHATS_CRM_ACCESS_TOKEN": server.crm_token,
            "TAP_KOMMO_CHATS_NATIVE_CHANNELS": "true",
            "TAP_KOMMO_CHATS_REQUESTS_PER_SECOND": "0",
        }


def block_of_the_readme() -> str:
    _, _, text = (
        (ROOT / "README.md").read_text("utf-8").partition("project of your own")
    )
    (block, *_) = re.findall(r"(?ms)^```sh\n(.*?)^```", text)
    return str(block)


def shell(line: str, folder: Path, env: dict[str, str]) -> str:
    sh = shutil.which("sh")
    assert sh
    done = subprocess.run(
        [sh, "-ec", line],
        cwd=folder,
        env=env,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def walked(place: Path, environment: dict[str, str]) -> Path:
    """The project that the commands of the README make, word for word."""
    block = block_of_the_readme()
    assert tuple(re.findall(r"(?m)^meltano \w+", block)) == COMMANDS
    shell(block, place, environment)
    return place / "my-chats"


@LONG
def test_the_commands_of_the_readme_lead_from_nothing_to_rows(walked: Path) -> None:
    for stream in ("talk_messages", "talks", "leads", "users", "chat_events", "runs"):
        (path,) = walked.glob(f"**/{stream}-*.jsonl")
        assert path.read_text("utf-8").strip()


@LONG
def test_the_definition_of_the_hub_works_once_an_index_has_the_package(
    place: Path, environment: dict[str, str]
) -> None:
    project = place / "released"
    project.mkdir()
    (project / "meltano.yml").write_text("version: 1\n", encoding="utf-8")
    # The index beside the usual one.
    index = {"UV_FIND_LINKS": str(place / FOLDER / "dist")}
    definition = ROOT / "hub" / "tap-kommo-chats.yml"

    shell(f"meltano add --from-ref={definition} {TAP}", project, environment | index)

    said = shell(f"meltano invoke {TAP} --version", project, environment)
    assert TAP in said
    assert (project / ".meltano" / "extractors" / TAP / "venv").is_dir()


def test_both_definitions_differ_in_where_the_package_is_only(place: Path) -> None:
    local = yaml.safe_load((place / FOLDER / "dist" / f"{TAP}.yml").read_text("utf-8"))
    hub = yaml.safe_load((ROOT / "hub" / f"{TAP}.yml").read_text("utf-8"))

    assert Path(local.pop("pip_url").strip("'")).is_file()
    assert hub.pop("pip_url") == TAP
    assert local == hub


@LONG
def test_without_settings_every_stream_can_be_selected(
    walked: Path, environment: dict[str, str]
) -> None:
    env = {n: v for n, v in environment.items() if not n.startswith("TAP_")}
    catalog = shell(f"meltano invoke {TAP} --discover", walked, env)

    streams = {s["tap_stream_id"] for s in json.loads(catalog)["streams"]}
    assert {"chat_history", "talk_messages", "leads"} <= streams
