"""What is deselected in a catalog leaves in no other place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import OWN_ORIGIN
from tap_kommo_chats.tap import TapKommoChats
from tests.support.tap import captured_output, config_for

if TYPE_CHECKING:
    from sandbox import Sandbox
    from tests.support.tap import Output

SENT = 1_700_000_000
PHONE = "5511987654321"


def message(**sender: Any) -> dict[str, Any]:
    return {
        "timestamp": SENT,
        "sender": {"id": "s1", "name": "Ana", **sender},
        "message": {"id": "m1", "type": "text", "text": "hello", "new": {"a": 1}},
    }


def run_without(config: dict[str, Any], *deselected: str) -> Output:
    """Run with the discovered catalog, in which some fields are deselected."""
    catalog = TapKommoChats(config=config).catalog_dict
    for entry in catalog["streams"]:
        known = {tuple(item["breadcrumb"]): item for item in entry["metadata"]}
        for path in deselected:
            crumbs = tuple(c for name in path.split(".") for c in ("properties", name))
            new = {"breadcrumb": list(crumbs), "metadata": {}}
            known.setdefault(crumbs, new)["metadata"]["selected"] = False
        entry["metadata"] = list(known.values())
    with captured_output() as collected:
        TapKommoChats(config=config, catalog=catalog).sync_all()
    return collected[0]


def properties_of(output: Output, stream: str) -> dict[str, Any]:
    (schema,) = [
        m["schema"]
        for m in output.messages
        if m["type"] == "SCHEMA" and m["stream"] == stream
    ]
    properties: dict[str, Any] = schema["properties"]
    return properties


@pytest.mark.parametrize(
    "phone",
    [PHONE, int(PHONE), {"number": PHONE}, [PHONE], {"deep": [{"number": PHONE}]}],
    ids=["text", "number", "object", "list", "deep"],
)
def test_a_deselected_field_leaves_in_no_other_column(
    sandbox: Sandbox, phone: object
) -> None:
    sandbox.store.add("a", message(phone=phone, role="buyer"))

    output = run_without(config_for(sandbox), "sender.phone")

    (record,) = output.records
    assert PHONE not in "".join(output.lines)
    assert "phone" not in properties_of(output, "chat_history")["sender"]["properties"]
    assert record["sender"] == {"id": "s1", "name": "Ana"}
    assert record["extra"] == {"sender.role": "buyer", "message.new": {"a": 1}}


def test_a_deselected_object_takes_its_unknown_fields_with_it(sandbox: Sandbox) -> None:
    sandbox.store.add("a", message(phone=int(PHONE), role=PHONE))

    output = run_without(config_for(sandbox), "sender")

    (record,) = output.records
    assert PHONE not in "".join(output.lines)
    assert "sender" not in record
    assert record["extra"] == {"message.new": {"a": 1}}


def test_a_field_the_schema_does_not_know_can_be_deselected(sandbox: Sandbox) -> None:
    sandbox.store.add("a", message(role="buyer"))

    (record,) = run_without(config_for(sandbox), "sender.role").records

    assert record["extra"] == {"message.new": {"a": 1}}


def test_a_text_where_an_object_was_leaves_no_deselected_field_of_it(
    sandbox: Sandbox,
) -> None:
    sandbox.store.add("a", {**message(), "sender": f"Ana, {PHONE}"})

    output = run_without(config_for(sandbox), "sender.phone")

    assert PHONE not in "".join(output.lines)


def test_a_deselected_extra_is_gone(sandbox: Sandbox) -> None:
    sandbox.store.add("a", message(role=PHONE))

    output = run_without(config_for(sandbox), "extra")

    (record,) = output.records
    assert "extra" not in record
    assert PHONE not in "".join(output.lines)


def test_a_deselected_field_of_a_talk_leaves_in_no_other_column(
    sandbox: Sandbox,
) -> None:
    sandbox.crm.store.talks.add(1, "a", created_at=SENT, updated_at=SENT)
    sandbox.crm.store.talks.update(1, contact_id=PHONE + ".5")
    config = {
        **config_for(sandbox, ["a"]),
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }

    output = run_without(config, "contact_id")

    (record,) = output.records_of("talks")
    assert "contact_id" not in record
    assert PHONE not in "".join(output.lines)


def test_keys_stay_whatever_is_deselected(sandbox: Sandbox) -> None:
    sandbox.store.add("a", message())

    output = run_without(
        config_for(sandbox), "conversation_id", "message_id", "sent_at"
    )

    assert output.keys == [("a", "m1")]
