"""The columns of a schema, each in one line."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th


def text(name: str, description: str, *, key: bool = False) -> th.Property[Any]:
    """Make a column of texts; `key` for one that every record has."""
    return th.Property(name, th.StringType, required=key, description=description)


def number(name: str, description: str, *, key: bool = False) -> th.Property[Any]:
    """Make a column of integers."""
    return th.Property(name, th.IntegerType, required=key, description=description)


def flag(name: str, description: str) -> th.Property[Any]:
    """Make a column of true and false."""
    return th.Property(name, th.BooleanType, description=description)


def time(name: str, description: str, *, key: bool = False) -> th.Property[Any]:
    """Make a column of instants, with a zone."""
    return th.Property(name, th.DateTimeType, required=key, description=description)


def anything(name: str, description: str, *, kind: str = "object") -> th.Property[Any]:
    """Make a column of objects, or of lists, whose fields no schema knows."""
    # No list of properties: flattening would take an empty one for all there is.
    column = th.CustomType({"type": [kind, "null"]})
    return th.Property(name, column, description=description)


def extra(giver: str = "the CRM") -> th.Property[Any]:
    """Make the column that takes what has no other."""
    return anything(
        "extra",
        f"What {giver} gave and no other column takes, under its dotted path. Null "
        "when there is none.",
    )
