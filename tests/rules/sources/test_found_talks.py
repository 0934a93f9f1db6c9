"""The file of found talks can be read as a list, whatever is in its mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.sources.file import LINE_AT_MOST, FileSource
from tap_kommo_chats.sources.found_talks import FoundTalks
from tap_kommo_chats.state.seen_talks import SeenTalks

if TYPE_CHECKING:
    from pathlib import Path


def test_a_mark_is_no_longer_than_a_line_of_a_list_may_be(tmp_path: Path) -> None:
    file = str(tmp_path / "found.jsonl")
    found = FoundTalks(file, 30, 7)
    events = {str(number): "x" * 100 for number in range(LINE_AT_MOST // 100)}
    found.mark.move(["waba"], 5_000, events)
    said: list[str] = []

    found.keep(SeenTalks())

    assert list(FileSource(file, said.append, 30)) == []
    assert said == []
    assert FoundTalks(file, 30, 7).mark.until_ms(["waba"]) == 5_000
