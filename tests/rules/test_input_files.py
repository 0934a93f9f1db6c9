"""What is said of a file of the command line that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.input_files import read_object

if TYPE_CHECKING:
    from pathlib import Path


def test_an_object_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"a": {"b": "\u00e9"}}', encoding="utf-8")

    assert read_object("--state", str(path)) == {"a": {"b": "\u00e9"}}


@pytest.mark.parametrize(
    ("content", "flaw"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"channel_secret":\n "hush', "is no JSON (line 2, column 2)"),
        (b"{} {}", "is no JSON (line 1, column 4)"),
        (b"[]", "holds a list and no JSON object"),
        (b'"hush"', "holds a text and no JSON object"),
        (b"null", "holds null and no JSON object"),
        (b"true", "holds true or false and no JSON object"),
        (b"7", "holds a number and no JSON object"),
        (b"7.5", "holds a number and no JSON object"),
        (b"\xff", "is no text in UTF-8"),
        (b'{"a":' * 100_000, "is nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_is_named_with_what_is_wrong_and_what_to_do(
    tmp_path: Path, content: bytes, flaw: str
) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(content)

    with pytest.raises(SettingsError) as raised:
        read_object("--state", str(path))

    (problem,) = raised.value.problems
    remedy = "name the last good state, or leave it out to read everything"
    assert problem == f"--state names {path}, which {flaw}: {remedy}"


def test_a_name_with_line_ends_stays_in_its_line() -> None:
    with pytest.raises(SettingsError) as raised:
        read_object("--config", "no\nsuch")

    assert "names no\\nsuch, which is not there: " in str(raised.value)
