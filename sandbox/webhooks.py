"""What an integration makes of chat webhooks: a file of the chats that changed.

Kommo tells an integration of each message as it comes. Integrations often keep
no more of that than which conversation it was and when.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from sandbox.chats.store import ConversationStore


class WebhooksFile:
    """Appends a line of JSON to a file for each message that a store takes in.

    A context manager: it watches the store within its block.
    """

    def __init__(self, store: ConversationStore, path: Path) -> None:
        """Take what to watch and where to write."""
        self._store = store
        self._path = path
        self._lock = threading.Lock()
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Write a line for each conversation with messages, and begin to watch.

        Raises:
            OSError: The file cannot be written.
        """
        # Line by line, so that a reader sees each line as soon as it is there.
        self._file = self._path.open("a", buffering=1, encoding="utf-8")
        # Watched first: a message that comes meanwhile is told twice and not never.
        self._store.on_add.append(self._write)
        for conversation_id in self._store.conversation_ids():
            self._write(conversation_id)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to watch and close the file."""
        self._store.on_add.remove(self._write)
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, conversation_id: str) -> None:
        # The time is read under the lock, so that later lines never tell earlier ones.
        with self._lock:
            newest = self._store.newest_at(conversation_id)
            if newest is None or self._file is None:
                return
            line = {"conversation_id": conversation_id, "updated_at": newest}
            self._file.write(json.dumps(line) + "\n")
