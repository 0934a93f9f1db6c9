"""Which models `dbt build` could not make, as its output tells. Pure."""

from __future__ import annotations

import re

# Such as `Database Error in model kommo_waits (models/kommo_waits.sql)`, and
# `Failure in test unique_kommo_waits_key (models/schema.yml)`.
_FAILED = re.compile(r"(?:\b\w+ Error|\bFailure) in (\w+) ([\w.]+) \(")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def failed(output: str) -> list[str]:
    """Name what failed, each once.

    Args:
        output: What dbt wrote.

    Returns:
        Such as `model kommo_waits`; nothing when dbt did not get as far as that.
    """
    found = _FAILED.findall(_COLOUR.sub("", output))
    return list(dict.fromkeys(" ".join(each) for each in found))
