"""What is taken out of a record, or hashed in it, before anything else is done with it.

A field that an operator drops or hashes, or deselects in the catalog, is masked
wherever its path leads: in its column, and in `extra`, where it stands when its type is
another one or the schema does not know it. What comes later never sees it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tap_kommo_chats.records.fields import join_path, split_path
from tap_kommo_chats.records.shape import EXTRA, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_kommo_chats.records.fields import FieldPath
    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.records.shape import Shape
    from tap_kommo_chats.settings.values import MaskSettings

    _Masking: TypeAlias = Callable[[object], object]

_Tree: TypeAlias = "dict[str, _Tree | None]"
"""What is masked: below each name all there is (None), or some of it."""

_GONE = object()
"""Stands for a value that is left out."""

_JSON = msgspec.json.Encoder(decimal_format="number", order="sorted")


@dataclass(frozen=True, slots=True, repr=False)
class Mask:
    """What is masked in the records of one stream. Its `repr` shows no secret.

    Attributes:
        dropped: What is left out.
        hashed: What of the rest is hashed.
        columns: The hashed fields that have a column.
        secret: The key of the hashes.
    """

    dropped: _Tree
    hashed: _Tree
    columns: frozenset[FieldPath]
    secret: bytes

    @classmethod
    def of(
        cls, shape: Shape, masks: MaskSettings, deselected: Iterable[FieldPath] = ()
    ) -> Mask:
        """Make what the settings and the catalog say of a stream.

        Args:
            shape: What the stream's records look like.
            masks: What the settings say.
            deselected: The fields that the catalog leaves out.
        """
        hashed = _paths_in(shape.stream, masks.hashed)
        dropped = [*_paths_in(shape.stream, masks.dropped), *deselected]
        copies = [
            split_path(copy)
            for path in (*hashed, *dropped)
            for copy in shape.copies.get(join_path(path), ())
        ]
        tree = _tree(hashed)
        return cls(
            _tree([*dropped, *copies]),
            tree,
            frozenset(p for p in _ends(tree) if shape.place(p) is Place.FIELD),
            masks.secret.encode(),
        )

    def schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of masked records, where a hash is a text.

        Args:
            schema: The schema of the records as they were, or an older one from a
                catalog.
        """
        schema = _masked_schema(schema, self.dropped, lambda _: None)
        return _masked_schema(schema, self.hashed, _hash_schema)

    def apply(self, record: Record) -> Record:
        """Return a record as it may leave.

        The record that is given stays as it was.
        """
        if self.dropped:
            record = _masked_record(record, self.dropped, lambda _: _GONE)
        if self.hashed:
            record = _masked_record(record, self.hashed, self._hash)
            self._take_from_extra(record)
        return record

    def _hash(self, value: object) -> object:
        """Hash a value's text; of what is no text, its JSON with the names sorted.

        A number has the same hash as its text. Null and the empty text stay as they
        are: nobody is behind them.
        """
        if value is None or value == "":
            return value
        text = value.encode() if isinstance(value, str) else _JSON.encode(value)
        return hmac.digest(self.secret, text, "sha256").hex()

    def _take_from_extra(self, record: Record) -> None:
        """Put hashes into their columns, where the type of a value kept it out."""
        extra = record.get(EXTRA)
        if not isinstance(extra, dict):
            return
        for name in list(extra):
            *parents, last = path = split_path(name)
            if path in self.columns:
                fields = record
                for parent in parents:
                    fields = fields[parent]
                # The API may have a field that is named like a column of the tap's own.
                if fields.get(last) is None:
                    fields[last] = extra.pop(name)
        record[EXTRA] = extra or None


def read_path(text: str) -> tuple[str, FieldPath]:
    """Read a path of the settings, such as `sender.phone` or `talks:origin`.

    Returns:
        The stream it is of, empty for all; and the path, written as in `extra`.
    """
    stream, colon, path = text.partition(":")
    return (stream, split_path(path)) if colon else ("", split_path(text))


def _paths_in(stream: str, texts: Iterable[str]) -> list[FieldPath]:
    read = map(read_path, texts)
    return [path for of, path in read if of in {"", stream}]


def _tree(paths: Iterable[FieldPath]) -> _Tree:
    """Join paths. One that leads into what another masks whole adds nothing."""
    tree: _Tree = {}
    for path in sorted(paths, key=len):
        below: _Tree | None = tree
        for name in path[:-1]:
            if below is not None:
                below = below.setdefault(name, {})
        if below is not None:
            below[path[-1]] = None
    return tree


def _ends(tree: _Tree, above: FieldPath = ()) -> Iterable[FieldPath]:
    for name, below in tree.items():
        path = (*above, name)
        if below is None:
            yield path
        else:
            yield from _ends(below, path)


def _masked_record(record: Record, tree: _Tree, masking: _Masking) -> Record:
    masked = _masked_fields(record, tree, masking)
    extra = masked.get(EXTRA)
    if isinstance(extra, dict):
        values = {
            name: _masked_extra(split_path(name), value, tree, masking)
            for name, value in extra.items()
        }
        left = {name: value for name, value in values.items() if value is not _GONE}
        masked[EXTRA] = left or None
    return masked


def _masked_extra(
    path: FieldPath, value: object, tree: _Tree, masking: _Masking
) -> object:
    below: _Tree | None = tree
    for name in path:
        if below is None:
            # Part of an object that is masked whole, the names in it too.
            return _GONE
        if name not in below:
            return value
        below = below[name]
    return _masked(value, below, masking)


def _masked(value: object, tree: _Tree | None, masking: _Masking) -> object:
    """Mask a value, or what is masked in it.

    A path leads through lists, to the field in each of their objects. Where anything
    else stands in its way, such as a text where an object was, nobody knows what is in
    it, and all of it is masked.
    """
    if tree is None:
        return masking(value)
    if value is None:
        return None
    if isinstance(value, dict):
        return _masked_fields(value, tree, masking)
    if isinstance(value, list):
        items = (
            # A list in a list is as odd as a text.
            _masked(item, None if isinstance(item, list) else tree, masking)
            for item in value
        )
        return [item for item in items if item is not _GONE]
    return masking(value)


def _masked_fields(
    fields: dict[str, Any], tree: _Tree, masking: _Masking
) -> dict[str, Any]:
    left = fields.copy()
    for name, below in tree.items():
        if name not in left:
            continue
        masked = _masked(left[name], below, masking)
        if masked is _GONE:
            del left[name]
        else:
            left[name] = masked
    return left


def _masked_schema(
    schema: dict[str, Any],
    tree: _Tree,
    masking: Callable[[dict[str, Any]], dict[str, Any] | None],
) -> dict[str, Any]:
    """Mask the schema of an object, or of a list of objects; None is a field gone."""
    if "items" in schema:
        return {**schema, "items": _masked_schema(schema["items"], tree, masking)}
    if not tree or "properties" not in schema:
        return schema
    fields: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        masked = field
        if name in tree:
            below = tree[name]
            masked = (
                masking(field)
                if below is None
                else _masked_schema(field, below, masking)
            )
        if masked is not None:
            fields[name] = masked
    left = {**schema, "properties": fields}
    if "required" in schema:
        left["required"] = [name for name in schema["required"] if name in fields]
    return left


def _hash_schema(field: dict[str, Any]) -> dict[str, Any]:
    described = {k: v for k, v in field.items() if k in {"title", "description"}}
    return {"type": ["string", "null"], **described}
