"""Which talks a run saw in the CRM, and whose talks it asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from tap_kommo_chats.integers import INT64
from tap_kommo_chats.records.talks import read_talk
from tap_kommo_chats.state.scratch import Row, Scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.records.talks import Owner, Talk

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)

_TABLES = """
CREATE TABLE talks (
    talk_id INTEGER PRIMARY KEY,
    updated_ms INTEGER,
    talk BLOB,
    chat_id TEXT
);
CREATE INDEX talks_of_chats ON talks (chat_id) WHERE chat_id IS NOT NULL;
CREATE TABLE sightings (
    talk_id INTEGER PRIMARY KEY,
    seen_ms INTEGER NOT NULL,
    active_ms INTEGER NOT NULL
);
CREATE TABLE owners (
    kind TEXT,
    number INTEGER,
    PRIMARY KEY (kind, number)
) WITHOUT ROWID;
CREATE TABLE owned (
    kind TEXT,
    number INTEGER,
    talk_id INTEGER,
    PRIMARY KEY (kind, number, talk_id)
) WITHOUT ROWID;
CREATE TABLE others (
    origin TEXT,
    talk TEXT,
    PRIMARY KEY (origin, talk)
) WITHOUT ROWID;
"""

# All in one statement: Python hands the turn to another thread with each, and while
# others read, it takes longer to get it back than the statement takes.
_NOTE_SIGHTINGS = """
INSERT INTO sightings
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
    json_extract(value, '$[2]')
FROM json_each(?)
WHERE true
ON CONFLICT (talk_id) DO UPDATE SET
    seen_ms = max(seen_ms, excluded.seen_ms),
    active_ms = max(active_ms, excluded.active_ms)
"""
_NOTE_OTHERS = """
INSERT OR IGNORE INTO others
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
FROM json_each(?)
"""
_SINCE = """
SELECT talk FROM talks LEFT JOIN sightings USING (talk_id)
WHERE talk IS NOT NULL
AND max(coalesce(seen_ms, 0), coalesce(updated_ms, 0)) >= ?
ORDER BY talk_id
"""
_NOTE_ACTIVE = """
INSERT INTO sightings
SELECT talk_id, 0, ? FROM talks
WHERE talk_id = ? AND talk IS NOT NULL AND chat_id IS NOT NULL
ON CONFLICT (talk_id) DO UPDATE SET active_ms = max(active_ms, excluded.active_ms)
"""
_ACTIVE = """
SELECT talk, active_ms FROM talks LEFT JOIN sightings USING (talk_id)
WHERE talk IS NOT NULL AND chat_id IS NOT NULL
ORDER BY talk_id
"""


class SeenTalks:
    """The talks of one run. One thread writes and reads them."""

    def __init__(self) -> None:
        """Start with none."""
        self._scratch = Scratch(_TABLES)

    def keep(self, talks: Iterable[Talk]) -> None:
        """Keep talks for the run, in place of what was known of them."""
        self._scratch.do_many(
            "INSERT OR REPLACE INTO talks VALUES (?, ?, ?, ?)",
            (
                (
                    talk.talk_id,
                    talk.updated_ms,
                    _ENCODER.encode(talk.value),
                    talk.chat_id,
                )
                for talk in talks
            ),
        )

    def note_gone(self, talk_id: int) -> None:
        """Note that the CRM does not show a talk, or not any more."""
        self._scratch.do("INSERT OR IGNORE INTO talks (talk_id) VALUES (?)", (talk_id,))

    def was_asked_for(self, talk_id: int) -> bool:
        """Tell whether a talk is known in this run, be it gone or not."""
        found = self._scratch.first("SELECT 1 FROM talks WHERE talk_id = ?", (talk_id,))
        return found is not None

    def get(self, talk_id: int) -> Talk | None:
        """Return a talk that was kept; None when it is gone or not known."""
        found = self._scratch.rows(
            "SELECT talk FROM talks WHERE talk_id = ? AND talk IS NOT NULL", (talk_id,)
        )
        return next(_talks(found), None)

    def count(self) -> int:
        """Tell how many there are that are not gone."""
        (count,) = self._scratch.first("SELECT count(talk) FROM talks") or (0,)
        return int(count)

    def of_chat(self, chat_id: str) -> list[Talk]:
        """Return the talks of a conversation that were kept."""
        found = self._scratch.rows(
            "SELECT talk FROM talks WHERE chat_id = ?", (chat_id,)
        )
        return list(_talks(found))

    def note_sightings(self, sightings: Iterable[tuple[int, int, int]]) -> None:
        """Note that something happened in talks.

        Args:
            sightings: The talk; when it happened, in milliseconds since 1970; and that
                time once more, or 0 where nothing new is in the conversation by it.
        """
        self._note(_NOTE_SIGHTINGS, sightings)

    def note_active(self, talk_id: int, active_ms: int) -> bool:
        """Note when something new was in a talk, as an earlier run knew.

        Args:
            talk_id: The talk.
            active_ms: When that was, in milliseconds since 1970; 0 for never.

        Returns:
            Whether this run saw the talk, and knows its conversation.
        """
        return self._scratch.do(_NOTE_ACTIVE, (active_ms, talk_id)) > 0

    def active(self) -> Iterator[tuple[Talk, int | None]]:
        """Go through all talks that lead to a conversation, by their ids.

        Yields:
            Each, and when something new was in it last, in milliseconds since 1970;
            None where no event told of anything.
        """
        for value, active_ms in self._scratch.rows(_ACTIVE):
            for talk in _talks([(value,)]):
                yield talk, active_ms or None

    def all(self, since_ms: int | None = None) -> Iterator[Talk]:
        """Go through all talks that are not gone, by their ids.

        Args:
            since_ms: Only those in which something happened from then on, in
                milliseconds since 1970; None for all.
        """
        from_ms = INT64.start if since_ms is None else since_ms
        return _talks(self._scratch.rows(_SINCE, (from_ms,)))

    def note_owner(self, owner: Owner, talk_ids: Iterable[int]) -> None:
        """Note which talks are somebody's. They were asked for, and are all."""
        whose = owner.kind, owner.number
        self._scratch.do("INSERT OR IGNORE INTO owners VALUES (?, ?)", whose)
        self._scratch.do_many(
            "INSERT OR IGNORE INTO owned VALUES (?, ?, ?)",
            ((*whose, talk_id) for talk_id in talk_ids),
        )

    def knows_owner(self, owner: Owner) -> bool:
        """Tell whether somebody's talks were asked for."""
        found = self._scratch.first(
            "SELECT 1 FROM owners WHERE kind = ? AND number = ?",
            (owner.kind, owner.number),
        )
        return found is not None

    def of_owner(self, owner: Owner) -> list[Talk]:
        """Return somebody's talks; none when they were not asked for."""
        found = self._scratch.rows(
            "SELECT talk FROM owned JOIN talks USING (talk_id)"
            " WHERE kind = ? AND number = ? AND talk IS NOT NULL",
            (owner.kind, owner.number),
        )
        return list(_talks(found))

    def note_others(self, others: Iterable[tuple[str, str]]) -> None:
        """Note talks of channels that are not asked for.

        Args:
            others: The origin, and what tells the talk from the others of it.
        """
        self._note(_NOTE_OTHERS, others)

    def others(self, at_most: int) -> list[tuple[str, int]]:
        """Count the talks of channels that are not asked for, the most first.

        Args:
            at_most: How many channels to return.
        """
        found = self._scratch.rows(
            "SELECT origin, count(*) FROM others GROUP BY origin"
            " ORDER BY 2 DESC, 1 LIMIT ?",
            (at_most,),
        )
        return [(origin, count) for origin, count in found]

    def _note(self, statement: str, pairs: Iterable[object]) -> None:
        self._scratch.do(statement, (_ENCODER.encode(list(pairs)).decode(),))


def _talks(rows: Iterable[Row]) -> Iterator[Talk]:
    for (value,) in rows:
        talk = read_talk(_DECODER.decode(value))
        if talk is not None:
            yield talk
