"""What the settings of masks take, and what they say about the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tap_kommo_chats.records.mask_paths import path_notes, path_problems
from tap_kommo_chats.settings.masks import parse_masks
from tap_kommo_chats.settings.values import MaskSettings
from tap_kommo_chats.tap import STREAMS, TapKommoChats

SHAPES = [stream.shape for stream in STREAMS]
SECRET = "not-a-real-secret"  # noqa: S105 (made up)
SETTINGS = ("drop_fields", "hash_fields")


def problem_with(**given: object) -> str:
    """The one problem of a configuration."""
    masks, problems = parse_masks({"hash_secret": SECRET, **given})
    (problem,) = [*problems, *path_problems(masks, SHAPES)]
    return problem


def notes_of(*paths: str) -> list[str]:
    masks = MaskSettings(paths)
    assert path_problems(masks, SHAPES) == []
    return path_notes(masks, SHAPES)


@pytest.mark.parametrize("given", [{}, {"drop_fields": None, "hash_fields": []}])
def test_without_settings_nothing_is_masked(given: dict[str, Any]) -> None:
    assert parse_masks(given) == (MaskSettings(), [])


def test_paths_are_taken_once_each() -> None:
    masks, problems = parse_masks(
        {
            "drop_fields": ["sender.phone", " talks:origin ", "sender.phone"],
            "hash_fields": ["sender.name"],
            "hash_secret": SECRET,
        }
    )

    assert masks.dropped == ("sender.phone", "talks:origin")
    assert masks.hashed == ("sender.name",)
    assert masks.secret == SECRET
    assert problems == []


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("given", ["sender.phone", {"a": 1}, 7, [""], ["a", None], [7]])
def test_what_is_no_list_of_texts_is_refused(name: str, given: object) -> None:
    problem = problem_with(**{name: given})

    assert problem.startswith(
        f"{name} is not a list of texts: write the paths of field"
    )
    assert '["sender.phone", "talks:origin"]' in problem


@pytest.mark.parametrize("secret", [None, "", " ", 1234567890123456, ["hush-hush"]])
def test_hashes_need_a_secret(secret: object) -> None:
    problem = problem_with(hash_fields=["sender.phone"], hash_secret=secret)

    assert problem.startswith("hash_secret ")
    assert "write a long random text of your own" in problem
    assert "hush" not in problem
    assert "1234567890123456" not in problem


@pytest.mark.parametrize("secret", ["hush-hush-hush-hush\n", "hush-hush"])
def test_a_secret_that_protects_nothing_is_refused_without_being_shown(
    secret: str,
) -> None:
    problem = problem_with(hash_fields=["sender.phone"], hash_secret=secret)

    assert problem.startswith("hash_secret ")
    assert ": write " in problem
    assert "hush" not in problem


def test_a_secret_that_hashes_nothing_is_left_alone() -> None:
    assert parse_masks({"hash_secret": 7}) == (MaskSettings(), [])


def test_settings_do_not_show_their_secret() -> None:
    masks, _ = parse_masks({"hash_fields": ["sender"], "hash_secret": SECRET})

    assert SECRET not in repr(masks)


def test_keys_and_replication_keys_are_kept() -> None:
    config = {"crm_url": "https://example.kommo.com"}
    streams = TapKommoChats(config=config, validate_config=False).streams

    assert len(streams) == len(STREAMS)
    for name, stream in streams.items():
        needed = {*stream.primary_keys, stream.replication_key} - {None}
        (shape,) = [shape for shape in SHAPES if shape.stream == name]
        whose = {"scope_id", "account_id"} & shape.schema["properties"].keys()
        assert whose
        assert needed | whose <= shape.kept


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "path",
    [
        *("conversation_id", "message_id", "sent_at", "scope_id", "message.id"),
        *("talk_id", "talks:talk_id", "updated_at", "conversations:conversation_id"),
    ],
)
def test_what_rows_are_told_apart_by_is_refused(name: str, path: str) -> None:
    problem = problem_with(**{name: [path]})

    assert problem.startswith(f"{name} has {path!r}, which ")
    assert problem.endswith(" cannot do without: take it out")


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("phone", "sender.phone"),
        ("sendr.phone", "sender.phone"),
        ("sender.phone.number", "sender.phone"),
        ("Sender.Name", "sender.name"),
        ("conversations:source", "conversations:sources"),
        ("talks:entity_id.x", "talks:entity_id"),
    ],
)
def test_a_path_that_no_stream_has_is_refused_with_the_nearest(
    path: str, nearest: str
) -> None:
    problem = problem_with(drop_fields=[path])

    assert problem.startswith(
        f"drop_fields has {path!r}, which no stream has: write {nearest!r}"
    )


def test_a_path_that_is_like_no_other_is_refused_with_what_to_do() -> None:
    assert problem_with(drop_fields=["zzzz"]).endswith(
        "which no stream has: take it out, or name the stream in whose extra it comes, "
        "such as 'chat_history:zzzz'"
    )


@pytest.mark.parametrize("path", [".", "sender.", ".phone", "sender..phone", "talks:"])
def test_a_path_with_an_empty_name_is_refused(path: str) -> None:
    assert "in which a name is empty: write names" in problem_with(hash_fields=[path])


def test_a_stream_that_there_is_not_is_refused() -> None:
    assert problem_with(drop_fields=["talk:origin"]).endswith(
        "whose stream there is not: write one of chat_history, accounts, chat_events, "
        "conversations, leads, pipelines, runs, talk_messages, talks, users"
    )


@pytest.mark.parametrize("path", ["extra.tag", "chat_history:extra.tag"])
def test_what_is_in_extra_is_named_without_it(path: str) -> None:
    assert problem_with(drop_fields=[path]).endswith("write 'chat_history:tag'")


@pytest.mark.parametrize(
    "path",
    [
        *("sender", "sender.phone", "message.text", "message.location.lon", "origin"),
        *("extra", "talks:extra", "direction", "conversations:sources", "message"),
        *("sender.role", "message.reply_to.text", "message.reply\\.to"),
        *("chat_history:tag", "talks:_embedded.contacts.id", "talks:sent_at"),
    ],
)
def test_known_fields_and_where_unknown_ones_come_can_be_masked(path: str) -> None:
    assert notes_of(path) == []


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("sender.phon", "sender.phone"),
        ("message.txt", "message.text"),
        ("chat_history:sendr.phone", "chat_history:sender.phone"),
        ("talks: origin", "talks:origin"),
    ],
)
def test_an_unknown_field_that_is_nearly_a_known_one_gets_a_warning(
    path: str, meant: str
) -> None:
    (note,) = notes_of(path)

    assert note.startswith(f"drop_fields has {path!r}, which is no field that the tap")
    assert note.endswith(f"is {meant!r} meant?")


def test_every_problem_is_told_at_once() -> None:
    masks, problems = parse_masks(
        {"drop_fields": ["phone"], "hash_fields": ["sent_at", "x"]}
    )

    problems += path_problems(masks, SHAPES)

    assert [line.split()[0] for line in problems] == [
        "hash_secret",
        "drop_fields",
        "hash_fields",
        "hash_fields",
    ]
