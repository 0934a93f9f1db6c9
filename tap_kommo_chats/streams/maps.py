"""Whether the SDK's stream maps and its flattening do what they say.

A map that takes out what is no column is ignored without a word, and the field leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from tap_kommo_chats.records.mask_paths import nearest_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_kommo_chats.records.shape import Shape

_NOTHING = (None, "__NULL__")
"""What the SDK takes for a column that is to go."""


def map_problems(maps: object, shapes: Sequence[Shape]) -> list[str]:
    """Say which entries of `stream_maps` would be ignored, one line each.

    Args:
        maps: The setting, whatever it is; the SDK checks its types.
        shapes: What the records of all streams look like.
    """
    if not isinstance(maps, Mapping):
        return []
    problems: list[str] = []
    for alias, definition in maps.items():
        rules = definition if isinstance(definition, Mapping) else {}
        source = str(rules.get("__source__", alias))
        of = [shape for shape in shapes if fnmatch(shape.stream, source)]
        if of:
            problems += _column_problems(alias, rules, of)
        elif not alias.startswith("__"):
            streams = ", ".join(shape.stream for shape in shapes)
            problems.append(
                f"stream_maps has a map for {source!r}, which is no stream: write one "
                f"of {streams}"
            )
    return problems


def _column_problems(
    alias: str, rules: Mapping[str, object], of: Sequence[Shape]
) -> Iterator[str]:
    columns = {name for shape in of for name in shape.schema["properties"]}
    for name, rule in rules.items():
        is_taken_out = rule in _NOTHING and not name.startswith("__")
        if "." in name or (is_taken_out and name not in columns):
            meant = nearest_path(name.replace("__", "."), of) or "sender.phone"
            yield (
                f"stream_maps has {name!r} for {alias}, which is no column, so it "
                "would take nothing out: write fields inside of objects into "
                f"drop_fields or hash_fields, such as {meant!r}"
            )


def lost_keys(maps: Iterable[StreamMap]) -> list[str]:
    """Say which keys flattening renames, one line each: rows could not be told apart.

    Args:
        maps: What is made of each stream.
    """
    return [
        f"flattening_max_key_length is so short that {key} of {each.stream_alias} gets "
        "another name, by which rows are told apart: raise it, such as to 64"
        for each in maps
        if each.flattening_enabled
        for key in each.transformed_key_properties or ()
        if key not in each.transformed_schema["properties"]
    ]
