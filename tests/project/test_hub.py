"""The plugin definition for MeltanoHub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from tap_kommo_chats.settings.parse import parse_settings
from tests.support.command import tap

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = ROOT / "hub" / "tap-kommo-chats.yml"
SCHEMAS = Path(__file__).with_name("hub_schemas")
KEPT = (
    "pip_url",
    "executable",
    "commands",
    "capabilities",
    "settings_group_validation",
    "settings",
)
"""What a project that takes the tap from the definition goes by."""


@pytest.fixture(scope="module")
def tap_settings() -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(tap("--about", "--format=json").stdout)[
        "settings"
    ]
    return settings


@pytest.fixture(name="definition")
def committed_definition() -> dict[str, Any]:
    return read(DEFINITION)


def test_the_definition_is_what_make_hub_writes(tmp_path: Path) -> None:
    written = tmp_path / "hub" / DEFINITION.name

    subprocess.run(
        [sys.executable, "scripts/hub_definition.py", str(written)],
        cwd=ROOT,
        check=True,
        timeout=60,
    )

    assert DEFINITION.read_text(encoding="utf-8") == written.read_text(
        encoding="utf-8"
    ), "what the definition is made from has changed: run `make hub`"


def test_the_definition_is_valid_by_the_hubs_schema(definition: dict[str, Any]) -> None:
    validator = hub_validator()

    assert not [error.message for error in validator.iter_errors(definition)]


@pytest.mark.parametrize("name", ["name", "namespace", "variant", "quality"])
def test_the_hubs_schema_misses_what_it_demands(
    definition: dict[str, Any], name: str
) -> None:
    del definition[name]

    assert not hub_validator().is_valid(definition)


def test_the_definition_has_every_setting_that_the_tap_tells_of(
    definition: dict[str, Any], tap_settings: dict[str, Any]
) -> None:
    assert names(definition) == list(tap_settings["properties"])


def test_the_definition_and_meltano_yml_say_the_same_of_each_setting(
    definition: dict[str, Any],
) -> None:
    (plugin,) = read(ROOT / "meltano.yml")["plugins"]["extractors"]

    assert definition["settings"] == plugin["settings"]


def test_each_group_of_settings_names_settings(definition: dict[str, Any]) -> None:
    groups = definition["settings_group_validation"]

    assert groups
    assert {name for group in groups for name in group} <= set(names(definition))


def test_each_group_of_settings_is_a_whole_configuration(
    definition: dict[str, Any],
) -> None:
    examples: dict[str, Any] = {
        "channel_id": str(uuid.uuid4()),
        "conversation_ids": [str(uuid.uuid4())],
        "conversations_file": "list.csv",
        "conversations_sql_url": "sqlite://",
        "crm_origins": ["amo.ext.1"],
        "crm_url": "https://example.kommo.com",
    }

    for group in definition["settings_group_validation"]:
        parse_settings({name: examples.get(name, "example") for name in group})


def test_meltano_adds_the_tap_from_the_definition(
    definition: dict[str, Any], tmp_path: Path
) -> None:
    project = tmp_path / "meltano.yml"
    project.write_text("version: 1\n", encoding="utf-8")
    name = definition["name"]

    added = subprocess.run(
        [
            Path(sys.executable).with_name("meltano"),
            *("add", "--no-install", f"--from-ref={DEFINITION}"),
            *("--plugin-type=extractor", name),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "MELTANO_PROJECT_ROOT": str(tmp_path),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )

    assert added.returncode == 0, added.stdout + added.stderr
    (plugin,) = read(project)["plugins"]["extractors"]
    assert {field: plugin[field] for field in KEPT} == {
        field: definition[field] for field in KEPT
    }


def hub_validator() -> Draft7Validator:
    """Make a validator of the hub's schemas.

    A `$ref` is relative to the file that it stands in. The files' own `$id` would say
    otherwise, so it is left out.
    """
    schemas: dict[str, dict[str, Any]] = {}
    for path in SCHEMAS.rglob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        del schema["$id"]
        schemas[path.as_uri()] = schema
    registry: Registry[bool | Mapping[str, Any]] = Registry().with_resources(
        (uri, DRAFT7.create_resource(schema)) for uri, schema in schemas.items()
    )
    entry = (SCHEMAS / "plugin_definitions" / "extractors.schema.json").as_uri()
    return Draft7Validator({"$ref": entry}, registry=registry)


def names(plugin: dict[str, Any]) -> list[str]:
    return [setting["name"] for setting in plugin["settings"]]


def read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read
