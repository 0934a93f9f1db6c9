"""Which models `dbt build` could not make, as its output tells. Pure."""

from __future__ import annotations

import re

# Such as `Database Error in model kommo_waits (models/kommo_waits.sql)` and
# `Failure in test unique_kommo_waits_key (models/schema.yml)`, with the reason in the
# next line.
_FAILED = re.compile(
    r"(?:\b\w+ Error|\bFailure) in (\w+) ([\w.-]+) \([^)\n]*\)(?=\s*\n([^\n]*))"
)
# What keeps dbt from beginning: `Database Error`, with the reason in the next line.
_STOPPED = re.compile(r"\b(\w+ Error)(?: in [^\n]*)?\s*\n\s+([^\n]+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TIME = re.compile(r"^\s*(?:\d\d:\d\d:\d\d)?\s*")


def failed(output: str) -> list[str]:
    """Name what failed and why, each once.

    Args:
        output: What dbt wrote.

    Returns:
        Such as `model kommo_waits (column "at" does not exist)`; nothing when dbt did
        not get as far as that.
    """
    found: dict[str, str] = {}
    for kind, name, line in _FAILED.findall(_COLOUR.sub("", output)):
        # dbt says it twice, and the reason after the second time.
        reason = "" if name in line else _TIME.sub("", line).strip()
        found[f"{kind} {name}"] = found.get(f"{kind} {name}") or reason
    return [f"{name} ({reason})" if reason else name for name, reason in found.items()]


def stopped(output: str) -> str:
    """Say why dbt did not get as far as a model; nothing when it does not tell.

    Args:
        output: What dbt wrote.
    """
    found = _STOPPED.findall(_COLOUR.sub("", output))
    return f"dbt: {': '.join(found[-1])}" if found else ""
