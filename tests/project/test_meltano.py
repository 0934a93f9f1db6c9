"""What `meltano.yml` says."""

from __future__ import annotations

import yaml

from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA
from tap_kommo_chats.tap import OWN_SETTINGS
from tests.support.meltano_project import ROOT


def test_meltano_knows_every_setting_as_the_tap_does() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (extractor,) = project["plugins"]["extractors"]
    kinds = {
        "string": "string",
        "integer": "integer",
        "array": "array",
        "date-time": "date_iso8601",
    }

    known = {
        name: {
            "label": setting["title"],
            "description": setting["description"],
            "kind": kinds[setting.get("format", setting["type"][0])],
            "value": setting.get("default"),
            "sensitive": setting.get("secret", False),
        }
        for name, setting in SETTINGS_SCHEMA["properties"].items()
        if name in OWN_SETTINGS
    }
    assert {
        setting["name"]: {
            "label": setting["label"],
            "description": setting["description"],
            "kind": setting["kind"],
            "value": setting.get("value"),
            "sensitive": setting.get("sensitive", False),
        }
        for setting in extractor["settings"]
    } == known
