"""The lists of conversations, gone through as a run does, and the one that it keeps."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tap_kommo_chats.check.report import Level, Line
from tap_kommo_chats.errors import RunError
from tap_kommo_chats.sources.file import FileSource
from tap_kommo_chats.sources.found_talks import SETTING as FOUND
from tap_kommo_chats.sources.found_talks import FoundTalks
from tap_kommo_chats.sources.sql import SQLSource

if TYPE_CHECKING:
    from tap_kommo_chats.origins import Origins
    from tap_kommo_chats.records.conversations import Conversation
    from tap_kommo_chats.settings.values import Settings
    from tap_kommo_chats.sources import Source

LOOKED_AT = 100_000
"""Entries of a list at most, so that a check ends within seconds."""

_NO_NUMBER = (
    "it has :account_id, and the CRM does not tell the account's number: make the "
    "token as an administrator of the account"
)


class Lists:
    """Goes through the lists that the settings name.

    Attributes:
        lines: What was found, a line for each list.
        first: A conversation that they name; None when they name none.
    """

    def __init__(self) -> None:
        """Look at nothing yet."""
        self.lines: list[Line] = []
        self.first: str | None = None
        self._bad = 0
        self._ignored: frozenset[str] = frozenset()
        self._origins: Origins | None = None

    def look(self, settings: Settings, account_id: int | None) -> None:
        """Go through all of them.

        Args:
            settings: Say which there are.
            account_id: Kommo's number of the account; None when it is not known.
        """
        self._ignored = settings.ignored_conversation_ids
        crm = settings.crm
        self._origins = None if crm is None else crm.origins
        given = (id_ for id_ in settings.conversation_ids if id_ not in self._ignored)
        self.first = next(given, None)
        if (file := settings.conversations_file) is not None:
            timeout = settings.request_timeout
            source = FileSource(file, self._report, timeout, has_talks=crm is not None)
            self._look_at("conversations_file", source)
        if (sql := settings.sql) is None:
            return
        name, query = "conversations_sql_query", sql.query
        if sql.needs_account:
            if account_id is None:
                self.lines.append(Line(name, Level.FAILED, _NO_NUMBER))
                return
            query = sql.query_of(account_id)
        has_talks = crm is not None
        rows = SQLSource(sql.url, query, self._report, has_talks=has_talks)
        self._look_at(name, rows)

    def look_at_found(self, settings: Settings, account_id: int | None) -> None:
        """Read of the file of found talks whose it is, where there is one.

        Args:
            settings: Name it.
            account_id: Kommo's number of the account; None when it is not known.
        """
        crm = settings.crm
        if crm is None or crm.found_talks_file is None or account_id is None:
            return
        try:
            found = FoundTalks(
                crm.found_talks_file, settings.request_timeout, account_id
            )
        except RunError as error:
            self.lines.append(Line(FOUND, Level.FAILED, str(error)))
            return
        text = "it was read" if found.is_there else "it is made by the next run"
        self.lines.append(Line(FOUND, Level.OK, text))

    def _may_be_read(self, found: Conversation) -> bool:
        """Tell whether the Chats API may be asked for a conversation."""
        talk, origins = found.talk, self._origins
        is_own = talk is None or origins is None or origins.is_own(talk.origin)
        return is_own and found.conversation_id not in self._ignored

    def _report(self, _line: str) -> None:
        self._bad += 1

    def _look_at(self, setting: str, source: Source) -> None:
        self._bad = count = 0
        try:
            for conversation in islice(source, LOOKED_AT):
                if self._may_be_read(conversation):
                    self.first = self.first or conversation.conversation_id
                count += 1
        except RunError as error:
            self.lines.append(Line(setting, Level.FAILED, str(error)))
            return
        some = "the first " if count == LOOKED_AT else ""
        found = f"{some}{count:,} conversation(s) were read"
        if self._bad:
            text = f"{found}, and {self._bad:,} have something wrong: a run names each"
            self.lines.append(Line(setting, Level.FAILED, text))
        else:
            self.lines.append(Line(setting, Level.OK, found))
