"""Which of the SDK's stream maps are refused, because they would do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tap_kommo_chats.streams.maps import map_problems
from tap_kommo_chats.tap import STREAMS

SHAPES = [stream.shape for stream in STREAMS]


@pytest.mark.parametrize("rule", [None, "__NULL__", "'x'", "sha256(sender['phone'])"])
def test_a_map_of_a_dotted_path_is_refused(rule: str | None) -> None:
    (problem,) = map_problems({"chat_history": {"sender.phone": rule}}, SHAPES)

    assert problem.startswith("stream_maps has 'sender.phone' for chat_history, which")
    assert "write fields inside of objects into drop_fields or hash_fields" in problem
    assert problem.endswith("such as 'sender.phone'")


@pytest.mark.parametrize("name", ["phone", "sender__phone"])
@pytest.mark.parametrize(
    "alias",
    [{"chat_history": {}}, {"chat_*": {}}, {"x": {"__source__": "chat_history"}}],
)
def test_a_map_that_takes_out_what_is_no_column_is_refused(
    name: str, alias: dict[str, dict[str, Any]]
) -> None:
    maps = {key: {**rules, name: None} for key, rules in alias.items()}

    (problem,) = map_problems(maps, SHAPES)

    assert problem.endswith("such as 'sender.phone'")


@pytest.mark.parametrize("maps", [{"chats": {"sender": None}}, {"sender.phone": None}])
def test_a_map_for_what_is_no_stream_is_refused(maps: dict[str, Any]) -> None:
    (problem,) = map_problems(maps, SHAPES)

    assert (
        "which is no stream: write one of chat_history, accounts, chat_events, c"
        in problem
    )


@pytest.mark.parametrize(
    "maps",
    [
        None,
        "nonsense",
        {},
        {"__else__": None},
        {"chat_history": None},
        {"*": {"origin": None}},
        {
            "chat_history": {
                "__else__": None,
                "sender": None,
                "phone": "sender['phone']",
            }
        },
        {"mine": {"__source__": "talks", "__filter__": "rate", "origin": "__NULL__"}},
        {"talks": {"__alias__": "deals", "__key_properties__": None}},
    ],
)
def test_a_map_that_does_what_it_says_is_left_to_the_sdk(maps: object) -> None:
    assert map_problems(maps, SHAPES) == []
