"""Run the fast tests on the other Pythons of this machine.

``make test-all`` runs this after it ran them on its own. Each Python from 3.10 on that
is on ``PATH`` or that pyenv has gets an environment below ``.pythons``, with the
versions of ``uv.lock``. Needs nothing but the standard library.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 10)
NAME = re.compile(r"python3\.(\d+)(?:\.exe)?")
ASKED_SECONDS = 20
EXAMPLES = "20"
"""Of rules about any input. They do not depend on the Python."""

Minor = tuple[int, int]


def main(arguments: list[str]) -> int:
    """Run the tests.

    Args:
        arguments: Where uv is, then what pytest is told.

    Returns:
        The exit code: 0 if they passed on all Pythons.
    """
    uv, *of_pytest = arguments
    pythons = others()
    told(pythons)
    for minor, python in sorted(pythons.items()):
        name = ".".join(map(str, minor))
        print(f"\nPython {name} ({python})", flush=True)
        environment = ROOT / ".pythons" / name
        # The tests run tools of the environment that they run in.
        env = {
            **os.environ,
            "UV_PROJECT_ENVIRONMENT": str(environment),
            "UV_PYTHON": str(python),
            "EXAMPLES_AT_MOST": EXAMPLES,
        }
        synced = [uv, "sync", "--locked", "--quiet", "--no-default-groups"]
        tested = [str(environment / "bin" / "pytest"), *of_pytest]
        for command in ([*synced, "--group", "test"], tested):
            if code := subprocess.call(command, cwd=ROOT, env=env):
                return code
    return 0


def told(pythons: dict[Minor, Path]) -> None:
    """Say which Pythons the package claims and nobody runs here."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    claimed = {(3, int(n)) for n in re.findall(r'"Programming .* :: 3\.(\d+)"', text)}
    for minor in sorted(claimed - pythons.keys() - {sys.version_info[:2]}):
        print(f"Python {'.'.join(map(str, minor))} is claimed, and not on this machine")


def others() -> dict[Minor, Path]:
    """Find the Pythons beside the one that runs this, one of each minor version."""
    found: dict[Minor, Path] = {}
    for path in candidates():
        match = NAME.fullmatch(path.name)
        minor = (3, int(match[1])) if match else (0, 0)
        is_new = minor >= OLDEST and minor != sys.version_info[:2]
        # pyenv puts commands on PATH that lead to no Python.
        if is_new and minor not in found and version_of(path) == minor:
            found[minor] = path
    return found


def candidates() -> Iterator[Path]:
    """Name what may be Pythons: those on PATH first, then those of pyenv."""
    for folder in os.get_exec_path():
        yield from sorted(Path(folder).glob("python3.*"))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    yield from sorted(pyenv.glob("versions/*/bin/python3.*"), reverse=True)


def version_of(python: Path) -> Minor | None:
    """Ask a Python for its version; None if it does not answer."""
    ask = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", ask],
            capture_output=True,
            check=True,
            encoding="utf-8",
            timeout=ASKED_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = map(int, done.stdout.split())
    return major, minor


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
