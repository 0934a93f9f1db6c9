"""What can go wrong in a run, and whose it is.

Every text is written for an operator: what happened, to which conversation, what to
change. None has a secret, a signature or the text of a message in it. The tap makes the
SDK's errors of these.
"""

from __future__ import annotations


class TapError(Exception):
    """Something went wrong, and the text says to an operator what to do."""


class SettingsError(TapError):
    """Some settings cannot be used.

    Attributes:
        problems: One line for each, which names the setting, what is wrong with it
            and what to write instead.
    """

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems, one line for each."""
        super().__init__("; ".join(problems))
        self.problems = problems


class StateError(TapError):
    """The state is not one that this tap wrote.

    Reading everything again instead would be as silent as it is expensive.
    """

    def __init__(self, problem: str) -> None:
        """Say what is wrong, and where."""
        super().__init__(
            f"The state cannot be used: {problem}. Restore the last good state, or run "
            "with --full-refresh to read everything again",
        )


class ConversationError(TapError):
    """One conversation cannot be read. The others can."""


class UnreachableError(ConversationError):
    """One conversation could not be asked for, because no answer came."""


class RefusedError(ConversationError):
    """Kommo answered something else than a history.

    Attributes:
        status: The answer's code.
        suspicion: What is wrong if others are answered the same, and what to change;
            None when that says nothing of others.
    """

    def __init__(
        self,
        conversation_id: str,
        problem: str,
        status: int,
        suspicion: str | None = None,
    ) -> None:
        """Say whose failure it is, and whose it may be."""
        super().__init__(f"Conversation {conversation_id}: {problem}")
        self.status = status
        self.suspicion = suspicion


class SilentError(ConversationError):
    """Kommo says that a conversation has no message, and is known to be wrong."""


class RunError(TapError):
    """No conversation can be read, so the run stops at once."""


class CrmRefusedError(RunError):
    """The CRM does not give what was asked for. It may give other things."""


class NotFoundError(CrmRefusedError):
    """There is no such thing in the CRM."""


class BadRequestError(CrmRefusedError):
    """The CRM does not take the request's parameters."""


class ForbiddenError(CrmRefusedError):
    """The CRM does not show one thing to the token's user. It may show others."""


class PlanError(CrmRefusedError):
    """The account's plan does not include what was asked for."""


class ScopeError(CrmRefusedError):
    """The token lacks the scope that something needs."""


class UnansweredError(RunError):
    """The CRM gave no usable answer, however often it was asked."""


class IncompleteRunError(TapError):
    """Everything that could be delivered was, and something could not."""


class OutputError(TapError):
    """Standard output takes no more of what the tap writes."""


class TargetGoneError(OutputError):
    """Nobody reads what the tap writes any more."""

    def __init__(self) -> None:
        """Say where to look."""
        super().__init__(
            "The target has gone away, so the run was stopped: look at the target's log"
        )


class LimiterStoppedError(Exception):
    """The run is ending, so no further request may be sent. Nobody's failure."""


class StopRequestedError(BaseException):
    """A signal asked the run to stop while it was waiting. Not one to be caught."""
