"""How messages get to the target."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import RecordMessage

if TYPE_CHECKING:
    from singer_sdk.singerlib.encoding.simple import Message


class BufferedWriter(MsgSpecWriter):
    """Writes records in batches, everything else at once.

    A record that a crash leaves in the buffer is covered by no STATE, because a STATE
    goes out after all records before it.
    """

    def write_message(self, message: Message) -> None:
        """Write a message to standard output.

        Args:
            message: A Singer message.
        """
        sys.stdout.buffer.write(self.format_message(message))
        if not isinstance(message, RecordMessage):
            sys.stdout.flush()
