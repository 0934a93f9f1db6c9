"""Columns of the streams that mirror objects of the CRM, and their records.

Each stream says which columns it has and where in the object they are. What has no
column travels in `extra`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_kommo_chats.records.fields import (
    Known,
    join_path,
    known_fields,
    lift,
    read_numbers,
    sort_out,
)
from tap_kommo_chats.records.shape import EXTRA, Shape, extra_column
from tap_kommo_chats.times import CALENDAR_MS, SECOND_MS, format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_kommo_chats.records.fields import LiftedPath
    from tap_kommo_chats.records.messages import Record


def text(name: str, description: str, *, required: bool = False) -> th.Property[str]:
    """Make a column of text."""
    return th.Property(name, th.StringType, required=required, description=description)


def number(name: str, description: str, *, required: bool = False) -> th.Property[int]:
    """Make a column of integers."""
    return th.Property(name, th.IntegerType, required=required, description=description)


def flag(name: str, description: str) -> th.Property[bool]:
    """Make a column of true and false."""
    return th.Property(name, th.BooleanType, description=description)


def moment(name: str, description: str) -> th.Property[str]:
    """Make a column of times with a zone."""
    return th.Property(name, th.DateTimeType, description=description)


def objects(name: str, description: str) -> th.Property[Any]:
    """Make a column of lists of objects, whatever is in these."""
    items = {"type": ["object", "null"]}
    kind = th.CustomType({"type": ["array", "null"], "items": items})
    return th.Property(name, kind, description=description)


@dataclass(frozen=True)
class Mirror:
    """How objects of a kind become records.

    Attributes:
        shape: What the records look like.
        lifted: By column, where in the object its value is, if not at the top under
            the column's name.
        known: The columns that the object's own fields fill.
    """

    shape: Shape
    lifted: Mapping[str, LiftedPath]
    known: Known = field(repr=False)

    @classmethod
    def of(
        cls,
        stream: str,
        keys: Iterable[str],
        columns: Iterable[th.Property[Any]],
        lifted: Mapping[str, LiftedPath],
        ours: Iterable[th.Property[Any]] = (),
    ) -> Mirror:
        """Make one.

        Args:
            stream: The stream's name.
            keys: What tells rows apart, and what they are ordered by.
            columns: The columns that the object's own fields fill.
            lifted: See above.
            ours: Columns that the tap fills.
        """
        own = list(columns)
        extra = extra_column(
            "What the CRM gave and no field above takes. Null when there is none."
        )
        schema = th.PropertiesList(*own, *ours, extra).to_dict()
        copies = {
            column: (join_path(tuple(name for name in path if isinstance(name, str))),)
            for column, path in lifted.items()
        }
        return cls(
            Shape(stream, schema, kept=frozenset(keys), copies=copies),
            lifted,
            known_fields(th.PropertiesList(*own).to_dict()),
        )

    def record(self, value: dict[str, Any], /, **ours: object) -> Record:
        """Make an object's record.

        Args:
            value: The object as the CRM gave it.
            **ours: Values of columns that the object does not fill.
        """
        extra: dict[str, Any] = {}
        columns, rest = lift(value, self.known, self.lifted)
        top = {
            name: kind for name, kind in self.known.items() if name not in self.lifted
        }
        fields = sort_out(read_numbers(rest, top), top, extra)
        record = {**columns, **fields, EXTRA: extra or None}
        missing = {name: v for name, v in ours.items() if record.get(name) is None}
        return {**record, **missing}


def seconds_ms(value: object) -> int | None:
    """Read Unix seconds; milliseconds since 1970, None where it is no time."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    return value * SECOND_MS if value * SECOND_MS in CALENDAR_MS else None


def moment_of(instant_ms: int | None) -> str | None:
    """Write a time with its zone; None where there is none."""
    return None if instant_ms is None else format_instant(instant_ms)
