"""Which chats were read through which talk last, in some 22 bytes each.

Nobody knows whether Kommo answers for a talk with its messages or with those of its
whole chat. So a talk that begins in a chat that was read is asked for what is its own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.state.layout import CHATS

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_DIGEST_BYTES = 5


class ReadChats:
    """The chats whose talks were read."""

    def __init__(self, state: MutableMapping[str, Any]) -> None:
        """Take over a stream's part of a state that was checked.

        Args:
            state: It is changed in place, so that what stands here is written out.
        """
        self._state = state
        self._noted: dict[str, int] = {}

    def last_talk(self, chat_id: str) -> int | None:
        """Return the last of a chat's talks that an earlier run read; None for none."""
        found: int | None = self._state.get(CHATS, {}).get(_key(chat_id))
        return found

    def note(self, chat_id: str, talk_id: int) -> None:
        """Note that this run read a talk. Talks are numbered one after the other."""
        key = _key(chat_id)
        self._noted[key] = max(talk_id, self._noted.get(key, 0))

    def keep(self) -> None:
        """Take over into the state what was noted."""
        chats: dict[str, int] = self._state.setdefault(CHATS, {})
        for key, talk_id in self._noted.items():
            chats[key] = max(talk_id, chats.get(key, 0))
        self._noted.clear()


def _key(chat_id: str) -> str:
    return hashlib.blake2b(chat_id.encode(), digest_size=_DIGEST_BYTES).hexdigest()
