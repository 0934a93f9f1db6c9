"""What `meltano.yml` says."""

from __future__ import annotations

import json

import yaml

from tests.support.command import tap
from tests.support.meltano_project import ROOT


def test_meltano_knows_every_setting_as_the_tap_does() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (extractor,) = project["plugins"]["extractors"]
    about = json.loads(tap("--about", "--format=json").stdout)
    kinds = {
        **dict.fromkeys(("string", "integer", "boolean", "array", "object")),
        "date-time": "date_iso8601",
    }

    def kind_of(setting: dict[str, str]) -> str:
        kind = setting.get("format", setting["type"][0])
        return kinds[kind] or kind

    known = {
        name: {
            "label": setting["title"],
            "description": setting["description"],
            "kind": kind_of(setting),
            "value": setting.get("default"),
            "sensitive": setting.get("secret", False),
        }
        for name, setting in about["settings"]["properties"].items()
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
