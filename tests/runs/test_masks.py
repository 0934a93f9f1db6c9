"""What leaves a whole run in which fields are masked."""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from sandbox import OWN_ORIGIN
from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.tap import STREAMS, TapKommoChats
from tests.support.states import known_of
from tests.support.tap import captured_output, config_for, run

if TYPE_CHECKING:
    from sandbox import Sandbox
    from tap_kommo_chats.records.shape import Shape
    from tests.support.tap import Output

SHAPES = [stream.shape for stream in STREAMS]
SENT = 1_700_000_000
SECRET = "a-secret-of-the-operator"  # noqa: S105 (made up)
PHONE = "5511987654321"
MASKED = {
    "drop_fields": ["sender.phone", "message.text"],
    "hash_fields": ["sender.name", "contact_id"],
    "hash_secret": SECRET,
}


def digest(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    """The settings to read an account that has one of each."""
    sandbox.store.add(
        "a",
        {
            "timestamp": SENT,
            "sender": {"id": "s1", "name": "Ana", "phone": PHONE, "new": 1},
            "message": {"id": "m1", "type": "text", "text": f"call {PHONE}"},
        },
    )
    crm = sandbox.crm.store
    crm.talks.add(
        1,
        "a",
        contact_id=4242,
        entity_id=9,
        rate=3,
        created_at=SENT,
        updated_at=SENT,
    )
    crm.events.add(SENT, talk_id=1)
    crm.leads.add(9, created_at=SENT)
    crm.users.add(5, "Bo")
    status = {"id": 142, "name": "Won", "sort": 1, "type": 0, "color": "#fff"}
    crm.pipelines.add(6, "Sales", {}, _embedded={"statuses": [status]})
    return {
        **config_for(sandbox, ["a"]),
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }


def schema_of(output: Output, stream: str) -> dict[str, Any]:
    (schema,) = [
        m["schema"]
        for m in output.messages
        if m["type"] == "SCHEMA" and m["stream"] == stream
    ]
    fields: dict[str, Any] = schema
    return fields


def test_what_is_dropped_is_nowhere_in_the_output_nor_in_the_log(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    output = run({**config, **MASKED})

    assert PHONE not in "".join(output.lines)
    assert PHONE not in caplog.text
    assert SECRET not in "".join(output.lines) + caplog.text
    sender = schema_of(output, "chat_history")["properties"]["sender"]["properties"]
    assert "phone" not in sender
    assert "name" in sender


def test_one_value_is_one_hash_in_all_runs(config: dict[str, Any]) -> None:
    first, second = run({**config, **MASKED}), run({**config, **MASKED})

    for output in (first, second):
        (message,) = output.records
        (talk,) = output.records_of("talks")
        assert message["sender"] == {"id": "s1", "name": digest("Ana")}
        assert message["extra"] == {"sender.new": 1}
        assert talk["contact_id"] == digest("4242")
        assert "4242" not in "".join(output.lines)
        contact = schema_of(output, "talks")["properties"]["contact_id"]
        assert contact["type"] == ["string", "null"]


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.stream for shape in SHAPES])
def test_every_column_but_the_kept_ones_can_be_masked_in_one_stream(
    config: dict[str, Any], sandbox: Sandbox, shape: Shape
) -> None:
    crm = sandbox.crm.store
    crm.talks.add(2, "b", origin="waba", created_at=SENT, updated_at=SENT)
    crm.add_message(2, SENT, event=False)
    config["native_channels"] = True
    kept = shape.schema["properties"].keys() & shape.kept
    columns = shape.schema["properties"].keys() - kept
    whole = run(config)

    output = run({**config, "drop_fields": [f"{shape.stream}:{c}" for c in columns]})

    schema = schema_of(output, shape.stream)
    records = output.records_of(shape.stream)
    assert records
    for record in records:
        assert schema["properties"].keys() == record.keys() == kept
    assert set(schema["required"]) <= kept
    for other in {s.stream for s in SHAPES} - {shape.stream}:
        rows, unmasked = output.records_of(other), whole.records_of(other)
        assert [row.keys() for row in rows] == [row.keys() for row in unmasked]


def test_what_the_tap_reads_does_not_depend_on_what_is_masked(
    config: dict[str, Any], sandbox: Sandbox
) -> None:
    def asked(**masks: object) -> list[list[str]]:
        state: dict[str, Any] = {}
        targets = []
        for _ in range(2):
            before = len(sandbox.requests)
            state = run({**config, **masks}, state).state
            seen = sandbox.requests[before:]
            targets.append([urlsplit(request.target).path for request in seen])
        read = known_of(state, "a")
        assert read is not None
        assert read.newest_ms == SENT * 1000
        return targets

    masked = asked(drop_fields=["origin", "chat_id", "timestamp", "message", "sender"])

    assert masked == asked()


def test_discovery_shows_masked_schemas_and_needs_no_other_setting() -> None:
    tap = TapKommoChats(config=MASKED, validate_config=False)

    (stream,) = [
        s for s in tap.catalog_dict["streams"] if s["tap_stream_id"] == "chat_history"
    ]

    sender = stream["schema"]["properties"]["sender"]["properties"]
    assert "phone" not in sender
    assert ["properties", "sender", "properties", "phone"] not in [
        m["breadcrumb"] for m in stream["metadata"]
    ]


@pytest.mark.parametrize("made_with", [{}, MASKED], ids=["older", "masked"])
def test_a_catalog_may_be_older_than_the_masks(
    config: dict[str, Any], made_with: dict[str, Any]
) -> None:
    catalog = TapKommoChats(config={**config, **made_with}).catalog_dict
    whole = run({**config, **MASKED})

    with captured_output() as collected:
        TapKommoChats(config={**config, **MASKED}, catalog=catalog).sync_all()

    (output,) = collected
    for shape in SHAPES:
        assert schema_of(output, shape.stream) == schema_of(whole, shape.stream)
    assert output.records == whole.records


def test_a_stream_map_sees_what_is_left_only(config: dict[str, Any]) -> None:
    maps = {"chat_history": {"who": "sender['name']", "sender": None}}

    output = run({**config, **MASKED, "stream_maps": maps})

    (record,) = output.records
    assert record["who"] == digest("Ana")
    assert "sender" not in record


def test_flattened_columns_are_masked_too(config: dict[str, Any]) -> None:
    flat = {"flattening_enabled": True, "flattening_max_depth": 2}

    output = run({**config, **MASKED, **flat})

    fields = schema_of(output, "chat_history")["properties"]
    assert "sender__phone" not in fields
    assert fields["sender__name"] == {"type": ["string", "null"]} | {
        "description": fields["sender__name"]["description"]
    }
    assert output.records[0]["sender__name"] == digest("Ana")


def test_masks_that_cannot_be_are_told_before_anything_is_asked(
    config: dict[str, Any], sandbox: Sandbox
) -> None:
    with pytest.raises(SettingsError) as raised:
        TapKommoChats(
            config={
                **config,
                "channel_secret": None,
                "drop_fields": ["phone", "sent_at"],
                "hash_fields": ["sender.name"],
                "stream_maps": {"chat_history": {"sender.phone": None}},
            }
        )

    assert [line.split()[0] for line in raised.value.problems] == [
        "channel_secret",
        "hash_secret",
        "drop_fields",
        "drop_fields",
        "stream_maps",
    ]
    assert not sandbox.requests


def test_a_path_that_is_nearly_a_known_one_gets_a_warning(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    TapKommoChats(config={**config, "drop_fields": ["sender.phon"]})

    assert "is 'sender.phone' meant?" in caplog.text
