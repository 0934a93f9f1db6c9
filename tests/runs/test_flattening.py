"""What flattening makes of records: columns of their schema, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from sandbox import OWN_ORIGIN, Sandbox, seeded_crm, seeded_store
from tap_kommo_chats.errors import RunError, SettingsError
from tap_kommo_chats.tap import STREAMS, TapKommoChats
from tests.support.tap import config_for, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.tap import Output

FLAT = {"flattening_enabled": True, "flattening_max_depth": 1}
MASKS = {
    "drop_fields": ["sender.phone", "extra", "talks:extra"],
    "hash_fields": ["receiver", "author.name", "contact_id"],
    "hash_secret": "a-secret-of-the-operator",
}


@pytest.fixture(scope="module")
def config() -> Iterator[dict[str, Any]]:
    """The settings to read an account that has one of each."""
    store = seeded_store()
    with Sandbox(store, seeded_crm(store)) as sandbox:
        sandbox.store.add(
            "30477717-9f3c-4d3f-8101-60327e14dc48",
            {
                "timestamp": 1_700_000_000,
                "sender": None,
                "receiver": None,
                "message": {"id": "odd", "location": None, "contact": {}, "new": [1]},
            },
        )
        yield {
            **config_for(sandbox),
            "crm_url": sandbox.url,
            "crm_access_token": sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
            "native_channels": True,
        }


def schemas_of(output: Output) -> Mapping[str, dict[str, Any]]:
    return {m["stream"]: m["schema"] for m in output.messages if m["type"] == "SCHEMA"}


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"flattening_max_depth": 2, **MASKS},
        {"flattening_max_depth": 9, "flattening_separator": "."},
        {"flattening_max_depth": 2, "flattening_max_key_length": 20},
    ],
    ids=["one level", "two levels, masked", "all levels", "short names"],
)
def test_every_key_of_a_flattened_record_is_a_column_of_its_type(
    config: dict[str, Any], how: dict[str, Any]
) -> None:
    output = run({**config, **FLAT, **how})

    schemas = schemas_of(output)
    for stream in (kind.shape.stream for kind in STREAMS):
        columns = schemas[stream]["properties"]
        validator = Draft7Validator({**schemas[stream], "additionalProperties": False})
        records = output.records_of(stream)
        assert records
        assert not [e.message for r in records for e in validator.iter_errors(r)]
        assert not [c for c in columns.values() if "object" in c["type"]]


def test_flattening_loses_no_value(config: dict[str, Any]) -> None:
    def leaves(value: object) -> list[str]:
        if isinstance(value, dict):
            return [leaf for each in value.values() for leaf in leaves(each)]
        return [] if value is None else [str(value)]

    def unpacked(record: dict[str, Any]) -> dict[str, Any]:
        is_json = {"extra", "tags", "custom_fields_values", "sources"}
        return {
            name: json.loads(value) if name in is_json and value else value
            for name, value in record.items()
        }

    whole = run(config)
    flat = run({**config, **FLAT, "flattening_max_depth": 9})

    for stream in {kind.shape.stream for kind in STREAMS} - {"runs"}:
        expected = [sorted(leaves(r)) for r in whole.records_of(stream)]
        found = [sorted(leaves(unpacked(r))) for r in flat.records_of(stream)]
        for record in (*expected, *found):
            # The run's own time differs.
            record[:] = [leaf for leaf in record if not leaf.startswith("20")]
        assert sorted(found) == sorted(expected)


def test_a_name_length_that_would_rename_a_key_is_refused(
    config: dict[str, Any],
) -> None:
    with pytest.raises(SettingsError) as raised:
        TapKommoChats(config={**config, **FLAT, "flattening_max_key_length": 15})

    assert all(
        problem.startswith("flattening_max_key_length is so short that ")
        for problem in raised.value.problems
    )


def test_flattening_without_a_depth_is_told(config: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as raised:
        TapKommoChats(config={**config, "flattening_enabled": True})

    assert raised.value.problems == [
        "flattening_max_depth is required when flattening is enabled"
    ]


def test_a_map_that_makes_a_field_without_a_column_ends_the_run(
    config: dict[str, Any],
) -> None:
    maps = {"talks": {"extra": None}, "chat_history": {"sender": "{'new': 'hush'}"}}

    with pytest.raises(RunError) as raised:
        run({**config, **FLAT, "stream_maps": maps})

    assert "stream_maps makes an object in a record of chat_history" in str(
        raised.value
    )
    assert "hush" not in str(raised.value)
