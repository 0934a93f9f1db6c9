"""Whether the paths of masks lead to fields, before anything relies on it.

A path that leads nowhere would mask nothing, and nothing would say so.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tap_kommo_chats.records.fields import join_path, split_path
from tap_kommo_chats.records.masks import read_path
from tap_kommo_chats.records.shape import EXTRA, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_kommo_chats.records.fields import FieldPath
    from tap_kommo_chats.records.shape import Shape
    from tap_kommo_chats.settings.values import MaskSettings

_SOMEWHAT_ALIKE = 0.5
"""A name alone is this near to its path."""
_ALIKE = 0.75


def path_problems(masks: MaskSettings, shapes: Sequence[Shape]) -> list[str]:
    """Say which paths cannot be masked, and what to write, one line each.

    Args:
        masks: What the settings say.
        shapes: What the records of all streams look like.
    """
    return [
        f"{setting} has {text!r}, {flaw}"
        for setting, text in _texts(masks)
        if (flaw := _flaw(text, shapes)) is not None
    ]


def path_notes(masks: MaskSettings, shapes: Sequence[Shape]) -> list[str]:
    """Say which paths lead to unknown fields, but nearly to known ones, one line each.

    Args:
        masks: What the settings say, without problems.
        shapes: What the records of all streams look like.
    """
    notes = []
    for setting, text in _texts(masks):
        stream, path = read_path(text)
        known = {p for shape in _of(stream, shapes) for p in shape.paths()}
        for depth, name in enumerate(path):
            if path[: depth + 1] in known:
                continue
            above, below = path[:depth], path[depth + 1 :]
            beside = [p[depth] for p in known if p[:-1] == above]
            if near := get_close_matches(name, sorted(beside), 1, _ALIKE):
                meant = _written(stream, (*above, near[0], *below))
                notes.append(
                    f"{setting} has {text!r}, which is no field that the tap knows and "
                    f"will be masked when it comes: is {meant!r} meant?"
                )
            break
    return notes


def nearest_path(text: str, shapes: Sequence[Shape]) -> str | None:
    """Find the known path that is most like a text; None when none is."""
    known = {join_path(path) for shape in shapes for path in shape.paths()}
    found = get_close_matches(text, sorted(known), 1, _SOMEWHAT_ALIKE)
    return found[0] if found else None


def _texts(masks: MaskSettings) -> Iterator[tuple[str, str]]:
    yield from (("drop_fields", text) for text in masks.dropped)
    yield from (("hash_fields", text) for text in masks.hashed)


def _of(stream: str, shapes: Sequence[Shape]) -> list[Shape]:
    return [shape for shape in shapes if stream in {"", shape.stream}]


def _written(stream: str, path: FieldPath) -> str:
    return f"{stream}:{join_path(path)}" if stream else join_path(path)


def _flaw(text: str, shapes: Sequence[Shape]) -> str | None:
    """Tell what is wrong with a path and what to write, as the end of a sentence."""
    stream, path = read_path(text)
    of = _of(stream, shapes)
    if not of:
        streams = ", ".join(shape.stream for shape in shapes)
        return f"whose stream there is not: write one of {streams}"
    if "" in path:
        return "in which a name is empty: write names with dots between them"
    keeper = next((s.stream for s in of if join_path(path) in s.kept), None)
    if keeper is not None:
        return f"which {keeper} cannot do without: take it out"
    with_extra = next((s.stream for s in of if EXTRA in s.schema["properties"]), None)
    if path[0] == EXTRA and len(path) > 1 and with_extra is not None:
        return (
            "but what travels in extra has a path of its own: write "
            f"{_written(with_extra, path[1:])!r}"
        )
    places = {shape.place(path) for shape in of}
    if places & {Place.FIELD, Place.BELOW} or (stream and Place.TOP in places):
        return None
    # Far more often a mistake than a field that nobody knows yet.
    known = nearest_path(join_path(path), of)
    remedy = (
        ["take it out"]
        if known is None
        else [f"write {_written(stream, split_path(known))!r}"]
    )
    if Place.TOP in places and with_extra is not None:
        remedy.append(
            "name the stream in whose extra it comes, such as "
            f"{_written(with_extra, path)!r}"
        )
    return f"which no stream has: {', or '.join(remedy)}"
