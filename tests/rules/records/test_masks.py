"""What leaves of a record in which something is masked."""

from __future__ import annotations

import hashlib
import hmac
from copy import deepcopy
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from singer_sdk import typing as th

from tap_kommo_chats.records import messages, talks
from tap_kommo_chats.records.fields import FieldPath, join_path, split_path
from tap_kommo_chats.records.masks import Mask
from tap_kommo_chats.records.shape import Place, Shape
from tap_kommo_chats.settings.values import MaskSettings
from tap_kommo_chats.streams.chat_history import ChatHistoryStream
from tap_kommo_chats.streams.conversations import ConversationsStream
from tap_kommo_chats.streams.talks import TalksStream

if TYPE_CHECKING:
    from tap_kommo_chats.records.messages import Record

SECRET = "a secret of the operator"  # noqa: S105 (made up)
MESSAGES, TALKS = ChatHistoryStream.shape, TalksStream.shape
PHONE = "5511987654321"


def digest(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def mask(
    shape: Shape,
    *,
    drop: tuple[str, ...] = (),
    hashed: tuple[str, ...] = (),
    deselected: tuple[FieldPath, ...] = (),
) -> Mask:
    return Mask.of(shape, MaskSettings(drop, hashed, SECRET), deselected)


def message(**fields: Any) -> Record:
    row = {"timestamp": 1, "message": {"id": "m", "text": "hello"}, **fields}
    return messages.to_record(messages.read_row(row, 0), "scope", "conversation")


def talk(**fields: Any) -> Record:
    read = talks.read_talk({"talk_id": 7, **fields})
    assert read is not None
    return talks.to_record(read, 5)


def dropped(path: str, record: Record) -> Record:
    return mask(MESSAGES, drop=(path,)).apply(record)


def hashed(path: str, record: Record) -> Record:
    return mask(MESSAGES, hashed=(path,)).apply(record)


def test_what_is_dropped_is_gone_and_the_rest_is_as_it_was() -> None:
    record = message(sender={"id": "s", "phone": PHONE}, tag="t")

    masked = dropped("sender.phone", record)

    assert masked == {**record, "sender": {"id": "s"}}


def test_a_record_that_is_given_stays_as_it_was() -> None:
    record = message(sender={"id": "s", "phone": 7, "new": 1}, receiver={"phone": "7"})
    before = deepcopy(record)

    mask(MESSAGES, drop=("sender.new",), hashed=("sender", "receiver.phone")).apply(
        record
    )

    assert record == before


def test_a_record_in_which_nothing_is_masked_is_not_even_copied() -> None:
    record = message()

    assert mask(MESSAGES).apply(record) is record
    assert mask(MESSAGES).schema(MESSAGES.schema) is MESSAGES.schema


@pytest.mark.parametrize("value", [7, [PHONE], {"number": PHONE}])
def test_what_is_dropped_does_not_travel_in_extra_as_another_type(
    value: object,
) -> None:
    record = message(sender={"phone": value, "new": 1})

    assert dropped("sender.phone", record)["extra"] == {"sender.new": 1}


def test_extra_is_null_when_nothing_is_left_in_it() -> None:
    assert dropped("tag", message(tag=1))["extra"] is None


def test_a_dropped_object_takes_what_extra_has_of_it() -> None:
    record = message(sender={"id": "s", "new": PHONE, "phone": 7}, sender2=1)

    masked = dropped("sender", record)

    assert "sender" not in masked
    assert masked["extra"] == {"sender2": 1}


def test_a_name_with_a_dot_is_not_a_path() -> None:
    record = message(**{"sender.phone": 1, "sender": {"phone": 2}})

    assert dropped("sender.phone", record)["extra"] == {"sender\\.phone": 1}
    assert dropped("sender\\.phone", record)["extra"] == {"sender.phone": 2}


def test_a_path_leads_on_inside_of_a_value_in_extra() -> None:
    record = message(reply={"text": "hello", "id": 1})

    assert dropped("reply.text", record)["extra"] == {"reply": {"id": 1}}


def test_a_path_leads_through_lists() -> None:
    record = message(tags=[{"name": "a", "id": 1}, {"id": 2}, None])

    assert dropped("tags.name", record)["extra"] == {
        "tags": [{"id": 1}, {"id": 2}, None]
    }


@pytest.mark.parametrize("value", ["Ana +55", 7, True])
def test_where_a_path_cannot_be_followed_all_there_is_is_masked(value: object) -> None:
    record = message(sender=value)

    assert dropped("sender.phone", record)["extra"] is None
    assert PHONE not in repr(hashed("sender.phone", record))


def test_in_a_list_of_other_things_all_of_them_are_masked() -> None:
    record = message(sender=["Ana +55", [{"phone": PHONE}], {"phone": PHONE, "id": 1}])

    assert dropped("sender.phone", record)["extra"] == {"sender": [{"id": 1}]}


def test_an_object_that_is_null_stays_null() -> None:
    assert dropped("receiver.phone", message(receiver=None))["receiver"] is None


def test_a_column_of_the_taps_own_can_be_dropped() -> None:
    masked = dropped("direction", message(receiver={"id": "r"}, direction="north"))

    assert "direction" not in masked
    assert masked["extra"] is None


def test_a_direction_is_told_though_the_receiver_is_dropped() -> None:
    masked = dropped("receiver", message(receiver={"id": "r"}))

    assert masked["direction"] == "outgoing"
    assert "receiver" not in masked


def test_a_hash_is_hmac_sha256_over_the_text() -> None:
    masked = hashed("sender.phone", message(sender={"id": "s", "phone": PHONE}))

    assert masked["sender"] == {"id": "s", "phone": digest(PHONE)}


def test_a_number_has_the_hash_of_its_text_and_stands_in_its_column() -> None:
    masked = hashed("sender.phone", message(sender={"phone": int(PHONE), "new": 1}))

    assert masked["sender"] == {"phone": digest(PHONE)}
    assert masked["extra"] == {"sender.new": 1}


def test_a_text_has_one_hash_in_all_streams_and_another_with_another_secret() -> None:
    one = mask(TALKS, hashed=("contact_id",)).apply(talk(contact_id=7))
    other = mask(ConversationsStream.shape, hashed=("error",)).apply(
        {"conversation_id": "c", "error": "7"}
    )
    secret = MaskSettings((), ("contact_id",), SECRET + "!")
    foreign = Mask.of(TALKS, secret).apply(talk(contact_id=7))

    assert one["contact_id"] == other["error"] == digest("7")
    assert foreign["contact_id"] != one["contact_id"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.50"), "1.50"),
        (True, "true"),
        ({"b": 1, "a": [Decimal("0.1"), None, "é"]}, '{"a":[0.1,null,"é"],"b":1}'),
        ([], "[]"),
    ],
)
def test_what_is_no_text_is_hashed_as_json_with_sorted_names(
    value: object, text: str
) -> None:
    assert hashed("tag", message(tag=value))["extra"] == {"tag": digest(text)}


def test_an_object_is_hashed_as_json_of_what_the_schema_knows_of_it() -> None:
    masked = hashed("sender", message(sender={"name": "Ana", "id": "s", "new": 1}))

    assert masked["sender"] == digest('{"id":"s","name":"Ana"}')
    assert masked["extra"] is None


@pytest.mark.parametrize("nothing", [None, ""])
def test_what_is_nothing_stays_nothing_when_it_is_hashed(nothing: object) -> None:
    masked = hashed("sender.phone", message(sender={"phone": nothing}))

    assert masked["sender"] == {"phone": nothing}


def test_what_is_both_dropped_and_hashed_is_dropped() -> None:
    both = mask(MESSAGES, drop=("sender.phone",), hashed=("sender.phone", "sender"))

    masked = both.apply(message(sender={"phone": PHONE, "id": "s"}))

    assert masked["sender"] == digest('{"id":"s"}')


def test_a_field_in_a_hashed_object_is_not_hashed_twice() -> None:
    once, twice = ("sender",), ("sender.phone", "sender")
    record = message(sender={"phone": 7, "id": "s"})

    assert mask(MESSAGES, hashed=twice).apply(record) == mask(
        MESSAGES, hashed=once
    ).apply(record)


def test_a_field_that_is_named_like_a_column_of_the_taps_own_stays_apart() -> None:
    masked = hashed("direction", message(direction="north"))

    assert masked["direction"] == digest("incoming")
    assert masked["extra"] == {"direction": digest("north")}


def test_extra_itself_can_be_masked() -> None:
    assert "extra" not in dropped("extra", message(tag=1))
    assert hashed("extra", message(tag=1))["extra"] == digest('{"tag":1}')
    assert hashed("extra", message())["extra"] is None


def test_a_path_may_be_of_one_stream_only() -> None:
    path = ("talks:origin",)

    assert "origin" not in mask(TALKS, drop=path).apply(talk(origin="waba"))
    assert mask(MESSAGES, drop=path).apply(message(origin="x"))["extra"] == {
        "origin": "x"
    }


@pytest.mark.parametrize(
    "how", [{"drop": ("contact_id",)}, {"hashed": ("contact_id",)}]
)
def test_what_tells_the_same_goes_when_a_field_is_masked(how: Any) -> None:
    embedded = {"contacts": [{"id": 7}], "leads": [{"id": 8}]}

    masked = mask(TALKS, **how).apply(talk(contact_id=7, _embedded=embedded))

    assert masked["extra"] == {"_embedded": {"leads": [{"id": 8}]}}


def test_a_deselected_field_is_a_dropped_one() -> None:
    deselected = mask(MESSAGES, deselected=(("sender", "phone"), ("extra", "tag")))

    masked = deselected.apply(message(sender={"phone": 7, "id": "s"}, tag=1, new=2))

    assert masked["sender"] == {"id": "s"}
    assert masked["extra"] == {"new": 2}


def test_a_dropped_field_is_gone_from_the_schema() -> None:
    schema = mask(MESSAGES, drop=("sender.phone", "direction")).schema(MESSAGES.schema)

    assert "phone" not in schema["properties"]["sender"]["properties"]
    assert "phone" in schema["properties"]["receiver"]["properties"]
    assert "direction" not in schema["properties"]
    assert "direction" not in schema["required"]
    assert "direction" in MESSAGES.schema["required"]


@pytest.mark.parametrize("path", ["sender.phone", "sender", "timestamp", "direction"])
def test_a_hashed_field_is_a_text_or_null_in_the_schema(path: str) -> None:
    masked = mask(MESSAGES, hashed=(path,))
    schema = masked.schema(MESSAGES.schema)

    *parents, last = split_path(path)
    field = schema
    for parent in parents:
        field = field["properties"][parent]
    field = field["properties"][last]
    assert field.pop("description")
    assert field == {"type": ["string", "null"]}
    assert masked.schema(schema) == schema


def test_fields_in_lists_are_masked_in_schema_and_record() -> None:
    def tags(*fields: th.Property[Any]) -> dict[str, Any]:
        return th.PropertiesList(
            th.Property("id", th.StringType),
            th.Property("tags", th.ArrayType(th.ObjectType(*fields))),
        ).to_dict()

    name = th.Property("name", th.StringType)
    number = th.Property("number", th.IntegerType)
    shape = Shape("leads", tags(name, number), frozenset({"id"}))
    masked = mask(shape, drop=("tags.name",), hashed=("tags.number",))

    schema = masked.schema(shape.schema)

    assert schema == tags(th.Property("number", th.StringType))
    assert masked.apply({"id": "1", "tags": [{"name": "a", "number": 1}]}) == {
        "id": "1",
        "tags": [{"number": digest("1")}],
    }


def test_a_mask_shows_no_secret() -> None:
    assert SECRET not in repr(mask(MESSAGES, hashed=("sender",)))


# Written with a mark that stands in nothing else, so that it can be looked for.
MARK = "\u0416mark\u0416"
NUMBER = 7_340_152_968_731
MARKED: st.SearchStrategy[Any] = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5).map(
        lambda text: text + MARK
    )
    | st.just(NUMBER)
    | st.just(Decimal(f"{NUMBER}.5")),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from(["phone", MARK, "x"]), inner, min_size=1)
    ),
    max_leaves=5,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NAMES = (
    st.sampled_from(
        ["id", "phone", "name", "text", "location", "lon", "a.b", "a\\", ""]
    )
    | TEXTS
)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-1000, max_value=1000)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)
UNKNOWN: list[FieldPath] = [
    ("tag",),
    ("tag", "deep"),
    ("sender", "new"),
    ("message", "reply_to", "text"),
    ("message", "a.b", "c\\"),
]
PATHS = [
    path
    for path in [*MESSAGES.paths(), *UNKNOWN]
    if path[0] not in {"extra", "direction"} and join_path(path) not in MESSAGES.kept
]
ROWS = st.fixed_dictionaries(
    {"timestamp": st.just(1), "message": st.dictionaries(NAMES, PLAIN, max_size=4)},
    optional={
        "sender": st.dictionaries(NAMES, PLAIN, max_size=4) | PLAIN,
        "receiver": st.dictionaries(NAMES, PLAIN, max_size=4) | PLAIN,
        "tag": PLAIN,
        "extra": PLAIN,
        "sender.phone": PLAIN,
    },
)


def planted(row: dict[str, Any], path: FieldPath, value: object) -> dict[str, Any]:
    """Set a field of a copy of a row, through objects, which replace all else."""
    whole = deepcopy(row)
    inner = whole
    for name in path[:-1]:
        if not isinstance(inner.get(name), dict):
            inner[name] = {}
        inner = inner[name]
    inner[path[-1]] = value
    if not isinstance(whole["message"], dict):
        whole["message"] = {}
    whole["message"]["id"] = "m"
    return whole


def line(record: Record) -> str:
    """Write a record as the tap does."""
    return msgspec.json.Encoder(decimal_format="number").encode(record).decode()


@st.composite
def maskings(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[str, ...], FieldPath]:
    """What to drop and what to hash, and one path of them."""
    paths = draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4, unique=True))
    texts = [join_path(path) for path in paths]
    cut = draw(st.integers(min_value=0, max_value=len(texts)))
    return tuple(texts[:cut]), tuple(texts[cut:]), draw(st.sampled_from(paths))


@given(row=ROWS, masking=maskings(), value=MARKED)
def test_nothing_that_is_masked_leaves_and_what_leaves_fits_the_schema(
    row: dict[str, Any],
    masking: tuple[tuple[str, ...], tuple[str, ...], FieldPath],
    value: object,
) -> None:
    drop, hash_, path = masking
    whole = planted(row, path, value)
    if path == ("message",):
        whole["message"] = {"id": "m", "x": value}
    if path == ("timestamp",):
        whole["msec_timestamp"] = 1
    read = messages.read_row(whole, 0)
    masked_by = mask(MESSAGES, drop=drop, hashed=hash_)

    masked = masked_by.apply(messages.to_record(read, "scope", "conversation"))

    assert MARK not in line(masked)
    assert str(NUMBER) not in line(masked)
    Draft7Validator(masked_by.schema(MESSAGES.schema)).validate(masked)


def leaves(value: object, path: FieldPath = ()) -> dict[FieldPath, object]:
    """Every value that is no object, by its path."""
    if not isinstance(value, dict):
        return {path: value}
    return {
        where: leaf
        for name, inner in value.items()
        for where, leaf in leaves(inner, (*path, name)).items()
    }


def flat(record: Record) -> dict[FieldPath, object]:
    """Every value of a record by its path in the API's row, in whichever column."""
    extra = record["extra"] or {}
    return {
        **leaves({k: v for k, v in record.items() if k != "extra"}),
        **{
            where: leaf
            for name, value in extra.items()
            for where, leaf in leaves(value, split_path(name)).items()
        },
    }


@given(row=ROWS, masking=maskings())
def test_what_is_not_masked_leaves_as_it_was(
    row: dict[str, Any], masking: tuple[tuple[str, ...], tuple[str, ...], FieldPath]
) -> None:
    drop, hash_, _ = masking
    masks = [split_path(text) for text in (*drop, *hash_)]
    whole = planted(row, ("message", "id"), "m")
    record = messages.to_record(messages.read_row(whole, 0), "scope", "conversation")

    after = flat(mask(MESSAGES, drop=drop, hashed=hash_).apply(record))

    def is_touched(path: FieldPath) -> bool:
        return any(path[: len(m)] == m or m[: len(path)] == path for m in masks)

    before = {p: leaf for p, leaf in flat(record).items() if not is_touched(p)}
    assert {p: leaf for p, leaf in after.items() if not is_touched(p)} == before


INTEGERS = [
    name
    for name, field in TALKS.schema["properties"].items()
    if "integer" in field["type"] and name not in TALKS.kept
]


@given(
    name=st.sampled_from([*INTEGERS, "origin", "chat_id", "status", "is_read"]),
    value=MARKED | st.just(str(NUMBER)),
    more=st.dictionaries(NAMES, PLAIN, max_size=3),
    is_dropped=st.booleans(),
)
def test_nothing_of_a_talk_that_is_masked_leaves(
    name: str, value: object, more: dict[str, Any], *, is_dropped: bool
) -> None:
    paths = (name,)
    masked_by = mask(TALKS, drop=paths) if is_dropped else mask(TALKS, hashed=paths)

    masked = masked_by.apply(talk(**{**more, name: value}))

    assert MARK not in line(masked)
    assert str(NUMBER) not in line(masked)
    assert (name in masked) is not is_dropped
    Draft7Validator(masked_by.schema(TALKS.schema)).validate(masked)


@given(st.lists(NAMES, min_size=1).map(tuple))
def test_a_path_is_read_as_it_was_written(path: FieldPath) -> None:
    assert split_path(join_path(path)) == path


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("sender", Place.FIELD),
        ("sender.phone", Place.FIELD),
        ("message.location.lon", Place.FIELD),
        ("sender.new", Place.BELOW),
        ("message.location.new.deep", Place.BELOW),
        ("tag", Place.TOP),
        ("tag.deep", Place.TOP),
        ("sender.phone.number", Place.NOWHERE),
        ("extra.tag", Place.NOWHERE),
    ],
)
def test_a_path_leads_to_a_field_or_to_where_unknown_ones_come(
    path: str, place: Place
) -> None:
    assert MESSAGES.place(split_path(path)) is place


@pytest.mark.parametrize("path", ["tag", "sources.new"])
def test_where_no_unknown_fields_come_a_path_to_one_leads_nowhere(path: str) -> None:
    assert ConversationsStream.shape.place(split_path(path)) is Place.NOWHERE
