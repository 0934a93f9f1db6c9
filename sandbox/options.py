"""Options that a command line or a request gives as JSON."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    OptionsT = TypeVar("OptionsT", bound=DataclassInstance)


def from_json(kind: type[OptionsT], text: str | bytes, each: str) -> OptionsT:
    """Read options from a JSON object of field names; what is left out is as usual.

    Args:
        kind: A dataclass, whose fields all have a usual value.
        text: The object.
        each: What one of them is called in a message.

    Raises:
        ValueError: It is no such object, or a value is not right. The message says
            which.
    """
    try:
        given = msgspec.json.decode(text, type=dict[str, object])
        names = [field.name for field in fields(kind)]
        for name in given:
            if name not in names:
                there_are = ", ".join(names)
                message = f"There is no {each} {name!r}. There are: {there_are}."
                raise ValueError(message)
        return msgspec.convert(given, kind)
    except msgspec.DecodeError as error:
        message = f"These are no {each}s: {error}"
        raise ValueError(message) from None


def to_json(options: DataclassInstance) -> bytes:
    """Write options as the JSON object that reads as the same options."""
    # One by one: msgspec leaves out what it did not read itself.
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    # Deterministic, because the order of a set differs from process to process.
    return msgspec.json.encode(values, order="deterministic")
