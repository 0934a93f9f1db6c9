"""What can go wrong in a run, and whose it is.

Every message is written for an operator: what happened, to which conversation, what to
change. None has a secret, a signature or the text of a message in it.
"""

from __future__ import annotations

from singer_sdk.exceptions import FatalAPIError, FatalSyncError, SyncError


class ConversationError(FatalAPIError):
    """One conversation cannot be read. The others can."""


class UnreachableError(ConversationError):
    """One conversation could not be asked for, because no answer came."""


class RunError(FatalSyncError):
    """No conversation can be read, so the run stops at once."""


class IncompleteRunError(SyncError):
    """Everything that could be delivered was, and something could not."""


class TargetGoneError(SyncError):
    """Nobody reads what the tap writes any more."""

    def __init__(self) -> None:
        """Say where to look."""
        super().__init__(
            "The target has gone away, so the run was stopped: look at the target's log"
        )


class StopRequestedError(BaseException):
    """A signal asked the run to stop while it was waiting. Not one to be caught."""
