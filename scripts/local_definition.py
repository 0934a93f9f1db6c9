"""Write the tap's plugin definition for the wheel of this folder.

``make dist`` runs this. The definition in ``hub/`` names the package, which an index
has to have. This one names the wheel beside it, and so works before there is a release.
Needs nothing but the standard library.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFINITION = ROOT / "hub" / "tap-kommo-chats.yml"


def main(arguments: list[str]) -> int:
    """Write the definition.

    Args:
        arguments: The folder of the wheel.

    Returns:
        The exit code.
    """
    (folder,) = map(Path, arguments)
    # The DAG's is beside it.
    (wheel,) = folder.resolve().glob("tap_kommo_chats-*.whl")
    text = DEFINITION.read_text(encoding="utf-8")
    # Meltano takes it apart as a shell does. A text of JSON is one of YAML.
    pip_url = json.dumps(shlex.quote(str(wheel)))
    local = re.sub(r"(?m)^pip_url: .*$", lambda _: f"pip_url: {pip_url}", text)
    local = re.sub(r"(?m)\A(#.*\n)+", "# Written by `make dist`.\n", local)
    (folder / DEFINITION.name).write_text(local, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
