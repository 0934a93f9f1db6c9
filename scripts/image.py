"""Build the container image: `make image`.

The variable ENGINE says with what, where the first one that is installed is not meant,
and TARGET which stage of the Containerfile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
NAME = "localhost/tap-kommo-chats"
ENGINES = ("podman", "docker", "buildah")
_CERTIFICATES = "/run/certificates.crt"


def command(engine: str, target: str, environment: Mapping[str, str]) -> list[str]:
    """Return the command that builds the image.

    Args:
        engine: The program that builds images.
        target: The stage of the Containerfile: `load`, or `airflow`.
        environment: Says where certificates are that this machine trusts beside the
            usual ones.
    """
    tag = NAME if target == "load" else f"{NAME}-{target}"
    built = [engine, "build", f"--target={target}", f"--tag={tag}"]
    bundle = environment.get("SSL_CERT_FILE")
    if bundle and engine != "docker":
        built += [
            f"--volume={bundle}:{_CERTIFICATES}:ro",
            f"--build-arg=SSL_CERT_FILE={_CERTIFICATES}",
            f"--build-arg=PIP_CERT={_CERTIFICATES}",
        ]
    return [*built, f"--file={ROOT / 'Containerfile'}", str(ROOT)]


def main() -> None:
    """Build it.

    Raises:
        SystemExit: If that fails, or nothing here builds images.
    """
    target = os.environ.get("TARGET") or "load"
    installed = (name for name in ENGINES if shutil.which(name))
    engine = os.environ.get("ENGINE") or next(installed, None)
    if engine is None:
        sys.exit(f"Nothing here builds images: install one of {', '.join(ENGINES)}")
    sys.exit(
        subprocess.run(command(engine, target, os.environ), check=False).returncode
    )


if __name__ == "__main__":
    main()
