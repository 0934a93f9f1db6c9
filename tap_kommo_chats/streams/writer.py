"""How messages get to the target."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

from singer_sdk.contrib.msgspec import MsgSpecWriter, serialize_jsonl
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_kommo_chats.errors import OutputError, TargetGoneError

if TYPE_CHECKING:
    from singer_sdk.singerlib.encoding.simple import Message


class BufferedWriter(MsgSpecWriter):
    """Writes records in batches, everything else at once.

    A record that a crash leaves in the buffer is covered by no STATE, because a STATE
    goes out after all records before it.

    Attributes:
        is_record_last: Whether a record was written after the last STATE.
    """

    is_record_last = False

    def serialize_message(self, message: Message) -> bytearray:
        """Make a line of a message, without copying a state first."""
        if isinstance(message, StateMessage):
            return serialize_jsonl({"type": message.type, "value": message.value})
        return super().serialize_message(message)

    def write_message(self, message: Message) -> None:
        """Write a message to standard output.

        Args:
            message: A Singer message.

        Raises:
            TargetGoneError: If standard output is a pipe that nobody reads.
            OutputError: If it cannot be written for another reason.
        """
        try:
            sys.stdout.buffer.write(self.format_message(message))
        except OSError as error:
            raise _failure(error) from None
        if isinstance(message, RecordMessage):
            self.is_record_last = True
            return
        if isinstance(message, StateMessage):
            self.is_record_last = False
        flush_output()


def flush_output() -> None:
    """Hand to the target what is still held back.

    Raises:
        TargetGoneError: If standard output is a pipe that nobody reads, also when
            there is nothing to hand over.
        OutputError: If it cannot be written for another reason.
    """
    end_output()
    if _is_gone():
        raise TargetGoneError


def end_output() -> None:
    """Hand over what is held back, to whoever it was who asked for it.

    Raises:
        TargetGoneError: If there is something to hand over, and nobody reads it.
        OutputError: If it cannot be written for another reason.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _failure(error) from None


def _failure(error: OSError) -> OutputError:
    if isinstance(error, BrokenPipeError):
        return TargetGoneError()
    return OutputError(
        f"Standard output cannot be written ({error.strerror}), so the run was stopped:"
        " let it lead to a target, or to a file with room"
    )


def _is_gone() -> bool:
    """Tell whether nobody reads a pipe any more; False where it cannot be told."""
    if not hasattr(select, "poll"):
        return False
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(output, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
