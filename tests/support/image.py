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
    from collections.abc import Iterator, Mapping

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

    def run(
        self, volume: Path, *command: str, env: Mapping[str, str] | None = None
    ) -> Ran:
        """Run a command read-only, offline, and as its user.

        Args:
            volume: What may be written.
            command: What the entry point is given.
            env: More for the environment than the image and the sandbox say.
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
                    "environment": {
                        **dict(line.partition("=")[::2] for line in self.config["Env"]),
                        **(env or {}),
                    },
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


@dataclass(frozen=True)
class Builder:
    """Builds images by `make image`, in a store of its own.

    Attributes:
        folder: Has the store.
        has_overlays: Whether a layer takes the room of what is in it alone. Where it
            takes that of all below it too, images are built without.
    """

    folder: Path
    has_overlays: bool

    def build(self, target: str) -> Image:
        """Build an image, and lay its files where they can be seen.

        Args:
            target: The stage of the Containerfile.

        Raises:
            ImageError: If it cannot be built.
        """
        name = NAME if target == "load" else f"{NAME}-{target}"
        self.step(
            *("make", "image", "ENGINE=buildah", f"TARGET={target}"),
            f"PYTHON={sys.executable}",
        )
        container = self.step("buildah", "from", "--pull-never", name)
        root = Path(self.step("buildah", "mount", container))
        config = json.loads(self.step("buildah", "inspect", "--type=image", name))
        return Image(root, config["OCIv1"]["config"])

    def step(self, *command: str, seconds: float = _STEP_SECONDS) -> str:
        """Run a command on the store, and return what it wrote.

        Raises:
            ImageError: If it fails.
        """
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "BUILDAH_ISOLATION": "chroot",
                # What the images have in common is built once.
                "BUILDAH_LAYERS": "true" if self.has_overlays else "false",
                "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
                "STORAGE_DRIVER": "overlay" if self.has_overlays else "vfs",
            },
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=seconds,
        )
        if done.returncode:
            raise ImageError(done.stdout + done.stderr)
        return done.stdout.strip()


@contextmanager
def builder(folder: Path) -> Iterator[Builder]:
    """Have what images are built from, and remove all of it in the end.

    Args:
        folder: Gets the store.
    """
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder / "graph"}"\n'
        f'runroot = "{folder / "run"}"\n',
        encoding="utf-8",
    )
    found = Builder(folder, _may_overlay(folder))
    try:
        try:
            found.step("buildah", "pull", BASE, seconds=_PULL_SECONDS)
        except (ImageError, subprocess.TimeoutExpired):
            _make_base(found)
        yield found
        found.step("buildah", "umount", "--all")
    finally:
        shutil.rmtree(folder / "graph", ignore_errors=True)


def _may_overlay(folder: Path) -> bool:
    """Tell whether folders may be laid over each other here."""
    parts = {name: folder / name for name in ("lowerdir", "upperdir", "workdir")}
    for path in parts.values():
        path.mkdir()
    options = ",".join(f"{name}={path}" for name, path in parts.items())
    script = 'mount -t overlay overlay -o "$1" "$2"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", options, folder / "lowerdir"],  # noqa: S607 (Debian's own)
        check=False,
        capture_output=True,
    )
    return done.returncode == 0


def _make_base(found: Builder) -> None:
    """Make what a registry would have given."""
    archive = found.folder / "base.tar"
    found.step(
        *("mmdebstrap", "--variant=minbase", "--include=ca-certificates"),
        *("bookworm", str(archive)),
    )
    container = found.step("buildah", "from", "scratch")
    found.step("buildah", "add", container, str(archive), "/")
    found.step("buildah", "commit", "--rm", container, BASE)
    archive.unlink()
