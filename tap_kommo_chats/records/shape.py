"""What the records of a stream look like, and where in them a field can stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_kommo_chats.records.fields import FieldPath

EXTRA = "extra"
"""The column of what has no column of its own, in streams that have such."""


def extra_column(description: str) -> th.Property[Any]:
    """Make the column of what has no column of its own."""
    # No list of properties: flattening would take an empty one for all there is.
    kind = th.CustomType({"type": ["object", "null"]})
    return th.Property(EXTRA, kind, description=description)


class Place(Enum):
    """Where in a stream's records a path leads."""

    FIELD = auto()
    """To a field of the schema."""
    BELOW = auto()
    """To what the schema does not know, in an object that it knows."""
    TOP = auto()
    """To what the schema does not know, beside its columns."""
    NOWHERE = auto()


@dataclass(frozen=True, slots=True)
class Shape:
    """What the records of a stream look like.

    Attributes:
        stream: The stream's name.
        schema: Their JSON schema, in the form the SDK writes it.
        kept: Paths of what rows are told apart, ordered and found again by, so that it
            cannot be masked.
        copies: By path, what else in a row tells the same and goes when it is masked.
    """

    stream: str
    schema: dict[str, Any]
    kept: frozenset[str]
    copies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def place(self, path: FieldPath) -> Place:
        """Tell where a path leads."""
        schema = self.schema
        for depth, name in enumerate(path):
            fields = fields_of(schema)
            if fields is None or (
                name not in fields and EXTRA not in self.schema["properties"]
            ):
                return Place.NOWHERE
            if name not in fields:
                return Place.BELOW if depth else Place.TOP
            schema = fields[name]
        return Place.FIELD

    def paths(self) -> Iterator[FieldPath]:
        """Name all fields of the schema, an object before the fields in it."""
        yield from _paths(self.schema, ())


def fields_of(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the fields of an object, or of the objects of a list; None without any."""
    fields: dict[str, Any] | None = schema.get("properties")
    return fields_of(schema["items"]) if "items" in schema else fields or None


def _paths(schema: dict[str, Any], above: FieldPath) -> Iterator[FieldPath]:
    for name, inner in (fields_of(schema) or {}).items():
        path = (*above, name)
        yield path
        yield from _paths(inner, path)
