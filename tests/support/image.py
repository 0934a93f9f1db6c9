"""The container image: built, and run without a container engine's help."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
NAME = "localhost/tap-kommo-chats"
BASE = "docker.io/library/debian:bookworm-slim"
PROGRAMS = ("buildah", "mmdebstrap", "unshare")
"""What it takes, as Debian's packages bring it."""

_STEP_SECONDS = 900
_PULL_SECONDS = 30


class ImageError(Exception):
    """The image could not be built or run."""


def missing() -> str:
    """Name what is not installed; nothing when all is."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


@dataclass(frozen=True)
class Ran:
    """A command that ran in the image.

    Attributes:
        code: Its exit code.
        said: What it wrote.
        served: How many messages the sandbox had.
    """

    code: int
    said: str
    served: int


@dataclass(frozen=True)
class Image:
    """An image with its files where they can be seen.

    Attributes:
        root: Its files.
        config: What its Containerfile says of running it.
    """

    root: Path
    config: dict[str, Any]

    @property
    def user(self) -> int:
        """Who runs in it."""
        return int(self.config["User"].partition(":")[0])

    def run(self, volume: Path, *command: str) -> Ran:
        """Run a command read-only, offline, and as its user.

        Args:
            volume: What may be written.
            command: What the entry point is given.
        """
        os.chown(volume, self.user, self.user)
        done = subprocess.run(
            [
                *("unshare", "--net", "--mount", "--pid", "--fork"),
                *(sys.executable, "-m", "tests.support.offline"),
            ],
            input=json.dumps(
                {
                    "root": str(self.root),
                    "volume": str(volume),
                    "command": [*self.config["Entrypoint"], *command],
                    "environment": dict(
                        line.partition("=")[::2] for line in self.config["Env"]
                    ),
                    "folder": self.config["WorkingDir"],
                    "user": self.user,
                }
            ),
            cwd=ROOT,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=_STEP_SECONDS,
        )
        if done.returncode:
            raise ImageError(done.stderr)
        return Ran(*json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def built(folder: Path) -> Iterator[Image]:
    """Build the image by `make image`, in a store of its own.

    Args:
        folder: Gets the store.
    """
    storage = folder / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder / "graph"}"\n'
        f'runroot = "{folder / "run"}"\n',
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_STORAGE_CONF": str(storage),
        "STORAGE_DRIVER": "vfs",
    }

    def step(*command: str, seconds: float = _STEP_SECONDS) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=seconds,
        )
        if done.returncode:
            raise ImageError(done.stdout + done.stderr)
        return done.stdout.strip()

    try:
        step("buildah", "pull", BASE, seconds=_PULL_SECONDS)
    except (ImageError, subprocess.TimeoutExpired):
        _make_base(folder, step)
    step("make", "image", "ENGINE=buildah", f"PYTHON={sys.executable}")
    container = step("buildah", "from", "--pull-never", NAME)
    root = Path(step("buildah", "mount", container))
    config = json.loads(step("buildah", "inspect", "--type=image", NAME))
    try:
        yield Image(root, config["OCIv1"]["config"])
    finally:
        step("buildah", "umount", container)
        shutil.rmtree(folder / "graph", ignore_errors=True)


def _make_base(folder: Path, step: Any) -> None:
    """Make what a registry would have given."""
    archive = folder / "base.tar"
    step(
        *("mmdebstrap", "--variant=minbase", "--include=ca-certificates"),
        *("bookworm", str(archive)),
    )
    container = step("buildah", "from", "scratch")
    step("buildah", "add", container, str(archive), "/")
    step("buildah", "commit", "--rm", container, BASE)
    archive.unlink()
