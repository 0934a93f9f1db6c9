"""One row of the history API, and the Singer record it becomes.

The record's schema stands here once, as data. What the schema knows is read from
it, so that no field can be in one place and not in the other.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TypeAlias, Union

import msgspec
from singer_sdk import typing as th

from tap_kommo_chats.integers import INT64
from tap_kommo_chats.records.fields import Known, known_fields, sort_out
from tap_kommo_chats.records.shape import EXTRA, extra_column
from tap_kommo_chats.times import CALENDAR_MS, SECOND_MS, format_instant

Record: TypeAlias = dict[str, Any]

DEPTH_AT_MOST = 100
"""Levels of nesting in a row. Those who read it after us would not get much further."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_LONGEST_ID = 255
"""Characters. PostgreSQL refuses keys of 2.7 kB, and a UUID has 36."""

_LONGEST_INSTANT = 20
"""Digits no timestamp has; writing 1e999999999 out would take all memory."""


def _text(name: str, description: str) -> th.Property[str]:
    return th.Property(name, th.StringType, description=description)


def _key(name: str, description: str) -> th.Property[str]:
    return th.Property(name, th.StringType, required=True, description=description)


def _participant(name: str, description: str) -> th.Property[Any]:
    return th.Property(
        name,
        th.ObjectType(
            _text("id", "Kommo's id of the participant."),
            _text(
                "client_id",
                "The participant's id on the integration's side. External people "
                "have one, Kommo's own users do not.",
            ),
            _text("name", "Display name."),
            _text("avatar", "URL of the participant's picture."),
            _text("phone", "Phone number, as the integration gave it."),
            _text("email", "Email address, as the integration gave it."),
        ),
        description=description,
    )


SCHEMA: dict[str, Any] = th.PropertiesList(
    _key(
        "scope_id",
        "The channel and the account the message belongs to: "
        "{channel_id}_{account's amojo_id}.",
    ),
    _key("conversation_id", "Kommo's UUID of the conversation."),
    _key("message_id", "Kommo's id of the message, from message.id."),
    th.Property(
        "sent_at",
        th.DateTimeType,
        required=True,
        description="When the message was sent, in UTC with milliseconds: from "
        "msec_timestamp, else from timestamp.",
    ),
    th.Property(
        "direction",
        th.StringType,
        required=True,
        allowed_values=["incoming", "outgoing"],
        description="incoming when the message has no receiver (the customer "
        "wrote), else outgoing (a user or a bot wrote).",
    ),
    th.Property(
        "timestamp",
        th.IntegerType,
        description="Unix time in seconds, as the API gives it.",
    ),
    th.Property(
        "msec_timestamp",
        th.IntegerType,
        description="Unix time in milliseconds, as the API gives it. Missing in "
        "older messages.",
    ),
    _participant("sender", "Who wrote the message."),
    _participant("receiver", "Who the message was written to; outgoing only."),
    th.Property(
        "message",
        th.ObjectType(
            _text("id", "Kommo's id of the message."),
            _text("client_id", "The integration's own id of the message."),
            _text(
                "type",
                "text, contact, file, video, picture, voice, audio, sticker or "
                "location.",
            ),
            _text("text", "The text of the message, or the caption of a file."),
            _text("media", "URL of the attachment."),
            _text("thumbnail", "URL of the attachment's preview."),
            _text("file_name", "Name of the attachment."),
            th.Property(
                "file_size",
                th.IntegerType,
                description="Size of the attachment in bytes.",
            ),
            _text(
                "media_group_id",
                "Shared by the rows that are the attachments of one message.",
            ),
            th.Property(
                "location",
                th.ObjectType(
                    th.Property(
                        "lon", th.NumberType, description="Longitude in degrees."
                    ),
                    th.Property(
                        "lat", th.NumberType, description="Latitude in degrees."
                    ),
                ),
                description="The place that was sent, for type location.",
            ),
            th.Property(
                "contact",
                th.ObjectType(
                    _text("name", "Name of the contact."),
                    _text("phone", "Phone number of the contact."),
                ),
                description="The contact that was sent, for type contact.",
            ),
        ),
        description="The message itself.",
    ),
    extra_column(
        "What has no column of its own, under its dotted path: fields this schema does "
        "not know, and values whose type is not the documented one. Null when there is "
        "none.",
    ),
).to_dict()
"""JSON schema of the `chat_history` stream."""

_OURS = frozenset(
    ("scope_id", "conversation_id", "message_id", "sent_at", "direction", EXTRA),
)

_Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=INT64.start, le=INT64.stop - 1)]
_STRICT_TYPES: dict[tuple[type, ...], Any] = {
    (str,): str,
    (int,): _Int64,
    (int, float, Decimal): _Int64 | float,
}
_KNOWN = known_fields(
    {
        "properties": {
            name: field
            for name, field in SCHEMA["properties"].items()
            if name not in _OURS
        },
    },
)


def _struct(name: str, known: Known) -> type[msgspec.Struct]:
    """Make the type that has these fields and no others."""
    fields = [
        (
            field,
            Union[  # noqa: UP007 (a type that is put together)
                _struct(f"{name}_{field}", kind)
                if isinstance(kind, dict)
                else _STRICT_TYPES[kind],
                None,
            ],
            None,
        )
        for field, kind in known.items()
    ]
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True)


_KNOWN_ROW = _struct("row", _KNOWN)


class Row(NamedTuple):
    """One row of the API's `messages`, with what paging and keys need of it.

    Attributes:
        position: Rows before it in the conversation, newest first, when it was read.
        value: The row as the API gave it, normally an object.
        message_id: Kommo's id of the message, or None when there is none to use.
        sent_ms: When it was sent, in milliseconds since 1970, or None when no
            timestamp can be used.
        content_hash: Tells its content from another one's, within this process; None
            when it is nested too deep to be written.
        is_as_known: Whether it has known fields of the documented types only, as most
            rows have.
    """

    position: int
    value: Any
    message_id: str | None
    sent_ms: int | None
    content_hash: int | None
    is_as_known: bool

    @property
    def identity(self) -> str:
        """What tells this row from others of its conversation."""
        if self.message_id is not None:
            return self.message_id
        return f"without id: {self.content_hash}"

    @property
    def flaw(self) -> str | None:
        """Why the row cannot become a record, or None when it can."""
        if self.message_id is None:
            return "no usable message.id"
        if self.sent_ms is None:
            return "no usable timestamp"
        if self.content_hash is None:
            return f"more than {DEPTH_AT_MOST} levels of nesting"
        return None


def read_row(value: object, position: int) -> Row:
    """Read from a row what identifies and dates it.

    Args:
        value: The row as decoded from JSON; anything is taken.
        position: Rows before it in the conversation.

    Returns:
        The row, whatever its shape.
    """
    row = value if isinstance(value, dict) else {}
    message = row.get("message")
    return Row(
        position=position,
        value=value,
        message_id=message_id(message.get("id")) if isinstance(message, dict) else None,
        sent_ms=_sent_ms(row),
        content_hash=content_hash(value),
        is_as_known=_is_as_known(value),
    )


def content_hash(value: object) -> int | None:
    """Tell a row's content from another one's; None when it is nested too deep."""
    try:
        content = _ENCODER.encode(value)
    except RecursionError:
        return None
    except UnicodeEncodeError:  # half of a surrogate pair
        return hash(repr(value))
    # Only what has many brackets can be nested deep.
    if content.count(b"[") + content.count(b"{") > DEPTH_AT_MOST and (
        _is_deeper_than(value, DEPTH_AT_MOST)
    ):
        return None
    return hash(content)


def _is_deeper_than(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper_than(item, levels - 1) for item in value)


def message_id(value: object) -> str | None:
    """Read a message's id; None when it is none that can be a key."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: no warehouse would take it.
        return None
    return value


def _sent_ms(row: dict[str, Any]) -> int | None:
    milliseconds = instant(row.get("msec_timestamp"), 1)
    if milliseconds is not None and milliseconds > 0:
        return milliseconds
    seconds = instant(row.get("timestamp"), SECOND_MS)
    # Zero stands for an empty value, so it is taken only for want of another.
    if milliseconds is None or (seconds is not None and seconds > 0):
        return seconds
    return milliseconds


def instant(value: object, unit_ms: int) -> int | None:
    """Read a timestamp leniently; None when it is none that a calendar has."""
    if type(value) is not int:
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
            return None
        if isinstance(value, Decimal) and value.adjusted() > _LONGEST_INSTANT:
            return None
        try:
            value = int(value)
        except (ValueError, OverflowError):
            return None
    instant = value * unit_ms
    return instant if instant in CALENDAR_MS else None


def to_record(row: Row, scope_id: str, conversation_id: str) -> Record:
    """Make a row's record.

    Values travel as they came. A value whose type is not the documented one would
    break a target that checks types, so it travels in `extra`.

    Args:
        row: A row without a flaw.
        scope_id: The scope it was read from.
        conversation_id: The conversation it was read from.

    Raises:
        ValueError: If the row has a flaw.
    """
    if row.message_id is None or row.sent_ms is None:
        msg = f"a row with {row.flaw} has no record"
        raise ValueError(msg)
    extra: dict[str, Any] = {}
    value = row.value
    fields = value if row.is_as_known else sort_out(value, _KNOWN, extra)
    return {
        "scope_id": scope_id,
        "conversation_id": conversation_id,
        "message_id": row.message_id,
        "sent_at": format_instant(row.sent_ms),
        # An empty receiver tells as little as none, and PHP writes an empty
        # object as an empty list.
        "direction": "outgoing" if row.value.get("receiver") else "incoming",
        "timestamp": fields.get("timestamp"),
        "msec_timestamp": fields.get("msec_timestamp"),
        "sender": fields.get("sender"),
        "receiver": fields.get("receiver"),
        "message": fields.get("message"),
        "extra": extra or None,
    }


def _is_as_known(value: object) -> bool:
    try:
        msgspec.convert(value, _KNOWN_ROW)
    except (ValueError, RecursionError):
        return False
    return True
