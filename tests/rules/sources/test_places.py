"""Files are replaced as a whole, wherever fsspec reaches."""

from __future__ import annotations

import gzip
import sys
from typing import TYPE_CHECKING

import fsspec
import pytest

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.sources.places import is_there, opened, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTING = "found_talks_file"


@pytest.fixture(params=["path", "path.gz", "url"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "url":
        yield "memory://bucket/found.jsonl.gz"
        fsspec.filesystem("memory").store.clear()
    else:
        yield str(tmp_path / f"found.jsonl{request.param.removeprefix('path')}")


def write(place: str, text: str) -> None:
    with replaced(SETTING, place, 30) as file:
        file.write(text)


def read(place: str) -> str:
    with opened(SETTING, place, 30) as file:
        return file.read()


def test_what_was_written_is_read(place: str) -> None:
    assert not is_there(SETTING, place, 30)

    write(place, "çé\n")

    assert is_there(SETTING, place, 30)
    assert read(place) == "çé\n"


def test_what_breaks_off_leaves_what_was_there(place: str) -> None:
    write(place, "whole\n")

    with pytest.raises(RunError), replaced(SETTING, place, 30) as file:
        file.write("half \ud800")

    assert read(place) == "whole\n"


def test_while_it_is_written_the_one_before_is_read(place: str) -> None:
    write(place, "one\n")

    with replaced(SETTING, place, 30) as file:
        file.write(read(place) + "two\n")

    assert read(place) == "one\ntwo\n"


def test_two_that_write_at_once_mix_nothing(place: str) -> None:
    with replaced(SETTING, place, 30) as one:
        one.write("one\n")
        with replaced(SETTING, place, 30) as other:
            other.write("other\n")
        assert read(place) == "other\n"
        one.write("more\n")

    assert read(place) == "one\nmore\n"


def test_a_file_is_for_its_owner_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write(str(tmp_path / "found.jsonl.gz"), "x")

    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert gzip.decompress(path.read_bytes()) == b"x"


@pytest.mark.parametrize("place", ["nosuch://bucket/f.jsonl", "s3://bucket/f.jsonl"])
def test_a_place_that_needs_a_package_says_which(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)

    with pytest.raises(RunError, match="found_talks_file"):
        is_there(SETTING, place, 30)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="found_talks_file cannot be found"):
        is_there(SETTING, str(tmp_path / "nowhere" / "f.jsonl"), 30)


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    there = tmp_path / "elsewhere" / "f.jsonl"
    link = tmp_path / "link.jsonl"
    link.symlink_to(there)

    assert not is_there(SETTING, str(link), 30)
    write(str(link), "new\n")

    assert there.read_text("utf-8") == read(str(link)) == "new\n"


def test_where_nobody_can_tell_no_file_is_taken_for_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("memory://bucket/f.jsonl", "x")
    kind = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(kind, "info", _refused)

    with pytest.raises(RunError, match="found_talks_file cannot be found"):
        is_there(SETTING, "memory://bucket/f.jsonl", 30)


def _refused(*_args: object, **_more: object) -> None:
    raise PermissionError(13, "")
