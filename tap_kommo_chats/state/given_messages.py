"""Which messages of native chats a run has given out.

Nobody knows whether an answer holds the messages of a talk or of its whole chat. Where
two talks of a chat give the same message, it is written once.
"""

from __future__ import annotations

from tap_kommo_chats.state.scratch import Scratch

_TABLES = """
CREATE TABLE given (
    conversation_id TEXT,
    message_id TEXT,
    digest INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, message_id)
) WITHOUT ROWID;
"""


class GivenMessages:
    """The messages of one run. One thread writes and reads them."""

    def __init__(self) -> None:
        """Start with none."""
        self._scratch = Scratch(_TABLES)

    def is_new(self, conversation_id: str, message_id: str, digest: int) -> bool:
        """Note a message, and tell whether it was not given out as it is.

        Args:
            conversation_id: Its conversation.
            message_id: Kommo's id of it.
            digest: Tells its content from another one's; 64 bits.
        """
        written = self._scratch.do(
            "INSERT INTO given VALUES (?, ?, ?)"
            " ON CONFLICT (conversation_id, message_id) DO UPDATE"
            " SET digest = excluded.digest WHERE digest != excluded.digest",
            (conversation_id, message_id, digest),
        )
        return written > 0
