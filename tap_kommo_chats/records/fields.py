"""What of an object of the API a schema knows, and what travels in `extra`.

A value whose type is not the schema's would break a target that checks types, so it
travels in `extra` too. Nothing is lost, and nothing stands in two places.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_kommo_chats.integers import INT64, integer_in

if TYPE_CHECKING:
    from collections.abc import Mapping

Known: TypeAlias = "dict[str, tuple[type, ...] | Known]"
"""The fields that a schema knows: of which Python types, or with which fields."""

FieldPath: TypeAlias = tuple[str, ...]
"""The names that lead to a field, from the outside in."""

LiftedPath: TypeAlias = tuple[str | int, ...]
"""The same; 0 stands for the only one of a list."""

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float, Decimal),
    "boolean": (bool,),
    "array": (list,),
}


def known_fields(schema: dict[str, Any]) -> Known:
    """Read from a schema which fields it has.

    Args:
        schema: The JSON schema of an object, in the form the SDK writes it.

    Returns:
        Its fields, with those of the objects in it.
    """
    known: Known = {}
    for name, field in schema["properties"].items():
        kind = next(kind for kind in field["type"] if kind != "null")
        known[name] = known_fields(field) if kind == "object" else _PYTHON_TYPES[kind]
    return known


def read_numbers(value: dict[str, Any], known: Known) -> dict[str, Any]:
    """Read integers that came as text: the CRM writes ids and times either way (seen).

    Args:
        value: The object.
        known: The fields the schema has.

    Returns:
        The object, where a text that is an integer's stands as the integer in each
        field that is one; all else as it came.
    """
    return {name: _number(item, known.get(name)) for name, item in value.items()}


def _number(item: object, kind: tuple[type, ...] | Known | None) -> object:
    if isinstance(kind, dict):
        return read_numbers(item, kind) if isinstance(item, dict) else item
    if kind == (int,) and isinstance(item, str):
        number = integer_in(item)
        return item if number is None else number
    return item


def sort_out(
    value: dict[str, Any],
    known: Known,
    extra: dict[str, Any],
    path: str = "",
) -> dict[str, Any]:
    """Part an object into known fields and the rest.

    Args:
        value: The object.
        known: The fields the schema has.
        extra: Gets the rest, under its dotted path.
        path: What stands before a name in that path.

    Returns:
        The known fields, as they came.
    """
    fields: dict[str, Any] = {}
    for name, item in value.items():
        kind = known.get(name)
        if item is None and kind is not None:
            fields[name] = None
        elif isinstance(kind, dict) and isinstance(item, dict):
            fields[name] = sort_out(item, kind, extra, f"{path}{name}.")
        elif isinstance(kind, tuple) and _fits(item, kind):
            fields[name] = item
        else:
            extra[path + _escaped(name)] = item
    return fields


def _fits(item: object, kind: tuple[type, ...]) -> bool:
    if type(item) is int:
        # Warehouses hold 64 bits; a larger number would stop the load.
        return int in kind and item in INT64
    if isinstance(item, list):
        # Lists are of objects wherever a schema of the API's objects has one.
        return list in kind and all(isinstance(each, dict) for each in item)
    return type(item) in kind


def lift(
    value: dict[str, Any], known: Known, places: Mapping[str, LiftedPath]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take out of the objects in an object what has a column of its own.

    Args:
        value: The object.
        known: The fields the schema has.
        places: By column, where in the object its value is.

    Returns:
        The columns, null where there is none of its type; and the object without them.
        What is of another type stays where it is.
    """
    columns: dict[str, Any] = dict.fromkeys(places)
    for column, path in places.items():
        kind = known[column]
        found, rest = _taken(value, path)
        item = _number(found, kind)
        if found is not _NOTHING and (item is None or _fits(item, _types(kind))):
            columns[column] = item
            value = rest or {}
    return columns, value


_NOTHING = object()


def _types(kind: tuple[type, ...] | Known) -> tuple[type, ...]:
    return (dict,) if isinstance(kind, dict) else kind


def _taken(value: Any, path: LiftedPath) -> tuple[object, Any]:  # noqa: ANN401 (any JSON)
    """Take out what is at a path; the rest is None where that was all."""
    name, *below = path
    if isinstance(name, int):
        # Of several nobody knows which one is meant.
        is_there = isinstance(value, list) and len(value) == 1
    else:
        is_there = isinstance(value, dict) and name in value
    if not is_there:
        return _NOTHING, value
    found, rest = _taken(value[name], tuple(below)) if below else (value[name], None)
    if isinstance(name, int):
        return found, None if rest is None else [rest]
    others = {each: item for each, item in value.items() if each != name}
    if rest is not None:
        others[name] = rest
    return found, others or None


def join_path(path: FieldPath) -> str:
    """Write a path as `extra` does: with dots, and a backslash before a name's own."""
    return ".".join(map(_escaped, path))


def split_path(text: str) -> FieldPath:
    """Read a path that is written as in `extra`."""
    if "\\" not in text:
        return tuple(text.split("."))
    names = [""]
    letters = iter(text)
    for letter in letters:
        if letter == ".":
            names.append("")
        else:
            names[-1] += next(letters, letter) if letter == "\\" else letter
    return tuple(names)


def _escaped(name: str) -> str:
    """Keep two different paths different when a name itself has a dot."""
    if "." in name or "\\" in name:
        return name.replace("\\", "\\\\").replace(".", "\\.")
    return name
