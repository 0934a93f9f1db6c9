"""The packages: what they are made with, what is in them, and that they run alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from tests.support.tap import config_for

if TYPE_CHECKING:
    from sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
NAME = "tap_kommo_chats"
STEM = f"{NAME}-{version(NAME)}"


@dataclass(frozen=True)
class Packages:
    """What was built from this folder, and the versions that the project is locked to.

    Attributes:
        sdist: The source distribution.
        wheel: The wheel, made from the source distribution.
        locked: The versions, as constraints.
        bill: The bill of materials.
        dag: The wheel of the DAG.
    """

    sdist: Path
    wheel: Path
    locked: Path
    bill: Path
    dag: Path


@dataclass(frozen=True)
class Installed:
    """A package in an environment of its own.

    Attributes:
        folder: Where the commands are, and where they are run.
    """

    folder: Path

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / command, *arguments],
            cwd=self.folder,
            env=own_environment(),
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=60,
        )


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    folder = tmp_path_factory.mktemp("packages")
    done = make(ROOT, "dist", f"DIST={folder / 'dist'}")
    assert done.returncode == 0, done.stderr
    locked = folder / "locked.txt"
    exported = uv("export", "--locked", "--no-dev", "--no-emit-project", "--no-hashes")
    locked.write_text(exported, encoding="utf-8")
    (sdist,) = folder.glob("dist/tap_*.tar.gz")
    (wheel,) = folder.glob("dist/tap_*.whl")
    (dag,) = folder.glob("dist/airflow_*.whl")
    (bill,) = folder.glob("dist/*.cdx.json")
    return Packages(sdist, wheel, locked, bill, dag)


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest,
    packages: Packages,
    tmp_path_factory: pytest.TempPathFactory,
) -> Installed:
    package = {"wheel": packages.wheel, "sdist": packages.sdist}[request.param]
    folder = tmp_path_factory.mktemp("installed")
    return install(package, folder, f"--constraint={packages.locked}")


def test_the_wheel_holds_the_package_and_its_licence_and_nothing_else(
    packages: Packages,
) -> None:
    with zipfile.ZipFile(packages.wheel) as archive:
        names = set(archive.namelist())

    assert names == package_files() | {
        f"{STEM}.dist-info/{name}"
        for name in (
            *("METADATA", "RECORD", "WHEEL", "entry_points.txt"),
            "licenses/LICENSE",
        )
    }


def test_the_dag_is_a_package_of_its_own_with_the_taps_version(
    packages: Packages,
) -> None:
    folder = ROOT / "orchestrate" / "dags"
    with zipfile.ZipFile(packages.dag) as archive:
        names = set(archive.namelist())

    assert packages.dag.name.split("-")[1] == version(NAME)
    assert {name for name in names if ".dist-info/" not in name} == {
        path.relative_to(folder).as_posix()
        for path in (folder / "airflow_kommo_chats").iterdir()
        if path.suffix in {".py", ".typed"}
    }


def test_the_metadata_are_of_a_version_that_publishers_know(
    packages: Packages,
) -> None:
    with zipfile.ZipFile(packages.wheel) as archive:
        metadata = archive.read(f"{STEM}.dist-info/METADATA")

    assert metadata.startswith(b"Metadata-Version: 2.4\n")


def test_the_wheel_is_typed(packages: Packages) -> None:
    with zipfile.ZipFile(packages.wheel) as archive:
        assert f"{NAME}/py.typed" in archive.namelist()


def test_the_sdist_holds_what_the_wheel_is_made_from_and_nothing_else(
    packages: Packages,
) -> None:
    with tarfile.open(packages.sdist) as archive:
        names = {
            str(PurePosixPath(member.name).relative_to(STEM))
            for member in archive.getmembers()
            if member.isfile()
        }

    # hatchling adds the last two: what to leave out, and what an index reads.
    assert names == package_files() | {
        *("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"),
        *(".gitignore", "PKG-INFO"),
    }


def test_the_bill_of_materials_lists_what_the_packages_need_as_it_is_locked(
    packages: Packages,
) -> None:
    bill = json.loads(packages.bill.read_text(encoding="utf-8"))
    needed = uv(
        *("export", "--locked", "--no-dev", "--all-extras", "--no-emit-project"),
        *("--no-hashes", "--no-annotate", "--no-header"),
    )

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["version"] == version(NAME)
    assert {component["purl"] for component in bill["components"]} == {
        f"pkg:pypi/{line.partition(' ')[0].replace('==', '@')}"
        for line in needed.splitlines()
    }
    assert all(
        file["hashes"]
        for component in bill["components"]
        for file in component["externalReferences"]
    )


@pytest.mark.parametrize(
    ("target", "locks", "package"),
    [
        ("dist", "uv.lock", "hatchling"),
        ("dist", "uv.lock", "trove-classifiers"),
        (".tools/uv/site-packages/bin/uv", "requirements/uv.txt", "uv"),
    ],
    ids=["the build backend", "what it needs", "uv"],
)
def test_what_builds_a_release_is_refused_if_its_bytes_are_not_the_locked_ones(
    target: str, locks: str, package: str, tmp_path: Path
) -> None:
    for name in ("Makefile", "pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in (NAME, "orchestrate"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    if target == "dist":
        shutil.copytree(ROOT / ".tools", tmp_path / ".tools")
    locked = tmp_path / locks
    before, name, after = locked.read_text("utf-8").partition(
        f'name = "{package}"\nversion' if locks == "uv.lock" else f"{package}=="
    )
    entry, end, others = after.partition("\n[[package]]")
    forged = re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", entry)
    locked.write_text(before + name + forged + end + others, encoding="utf-8")
    # It counts as older than uv, which is to be used as it is.
    os.utime(tmp_path / "requirements" / "uv.txt", (0, 0))

    done = make(tmp_path, target)

    assert forged != entry
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not list(tmp_path.glob("dist/*.whl"))


def test_an_installed_package_says_its_version(installed: Installed) -> None:
    done = installed.run("tap-kommo-chats", "--version")

    assert done.returncode == 0
    assert version(NAME) in done.stdout


def test_an_installed_package_says_what_it_is(installed: Installed) -> None:
    done = installed.run("tap-kommo-chats", "--about", "--format=json")

    assert done.returncode == 0
    about = json.loads(done.stdout)
    assert (about["name"], about["version"]) == ("tap-kommo-chats", version(NAME))


def test_an_installed_package_discovers_its_streams(installed: Installed) -> None:
    done = installed.run("tap-kommo-chats", "--discover")

    assert done.returncode == 0
    streams = [stream["stream"] for stream in json.loads(done.stdout)["streams"]]
    assert "chat_history" in streams


def test_an_installed_package_reads_everything(
    installed: Installed, seeded_sandbox: Sandbox
) -> None:
    assert messages_read(installed, seeded_sandbox) == messages_served(seeded_sandbox)


def test_an_installed_package_is_not_this_folder(installed: Installed) -> None:
    done = installed.run("python", "-c", f"import {NAME}; print({NAME}.__file__)")

    assert done.returncode == 0
    assert ROOT not in Path(done.stdout.strip()).parents


@pytest.fixture(scope="module")
def oldest(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The package with the oldest dependencies that are allowed."""
    folder = tmp_path_factory.mktemp("oldest")
    return install(packages.wheel, folder, "--resolution=lowest-direct")


def test_the_oldest_dependencies_that_are_allowed_suffice(
    oldest: Installed, seeded_sandbox: Sandbox
) -> None:
    assert messages_read(oldest, seeded_sandbox) == messages_served(seeded_sandbox)


def test_the_oldest_dependencies_read_no_line_between_chunks_without_end(
    oldest: Installed,
) -> None:
    done = oldest.run("python", "-c", LONG_LINE)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200_000


LONG_LINE = """
import contextlib, http.client, io, types, urllib3
head = b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
wire = io.BytesIO(head + b"x" * 10_000_000)
answer = http.client.HTTPResponse(types.SimpleNamespace(makefile=lambda _: wire))
answer.begin()
response = urllib3.HTTPResponse(answer, dict(answer.headers), preload_content=0)
wire.close = lambda: None
with contextlib.suppress(urllib3.exceptions.ProtocolError):
    list(response.read_chunked())
print(wire.tell())
"""
"""Prints how far a line without end is read that says how long a chunk is."""


def messages_read(installed: Installed, sandbox: Sandbox) -> int:
    config = installed.folder / "config.json"
    config.write_text(json.dumps(config_for(sandbox)), encoding="utf-8")
    done = installed.run("tap-kommo-chats", f"--config={config}")
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    return sum(
        message["type"] == "RECORD" and message["stream"] == "chat_history"
        for message in messages
    )


def messages_served(sandbox: Sandbox) -> int:
    return sum(sandbox.store.size(id_) for id_ in sandbox.store.conversation_ids())


def install(package: Path, folder: Path, *how: str) -> Installed:
    """Install a package, without extras, where nothing is installed.

    Args:
        package: The package.
        folder: Gets the environment.
        how: Further arguments, which choose the versions of what it needs.

    Returns:
        The package, installed.
    """
    environment = folder / "environment"
    uv("venv", "--no-project", str(environment))
    commands = environment / Path(sys.executable).parent.name
    uv("pip", "install", f"--python={commands / 'python'}", *how, str(package))
    return Installed(commands)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which("make")
    assert command
    return subprocess.run(
        [command, *arguments, f"PYTHON={sys.executable}"],
        cwd=folder,
        env=own_environment(),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )


def uv(*arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("uv"), "--quiet", *arguments],
        cwd=ROOT,
        env=own_environment(),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_environment() -> dict[str, str]:
    """The environment, without what points at the one the tests run in."""
    own = os.environ.copy()
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
        own.pop(name, None)
    return {**own, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}


def package_files() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in (NAME, "kommo_report")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
