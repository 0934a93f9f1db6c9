"""What became of each account of a task, over all of its tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KEY = "accounts"
_DONE = ""


class Memory(Protocol):
    """Airflow's, of a task: it outlives a try."""

    def get(self, key: str) -> Any:  # noqa: ANN401 (JSON)
        """Return what was kept; None when nothing was."""
        ...

    def set(self, key: str, value: Any) -> None:  # noqa: ANN401 (JSON)
        """Keep a value."""
        ...


@dataclass
class Progress:
    """What became of each account.

    Attributes:
        is_retry: Whether Airflow tried this task before.
        bad: Why an account is not loaded, by its name.
        may_pass: Whether another try may load any of them.
        settled: Those that no try has to do with any more: why not, by their names,
            and an empty text where they were loaded.
    """

    is_retry: bool
    memory: Memory | None = None
    bad: dict[str, str] = field(default_factory=dict)
    may_pass: bool = False
    settled: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> Progress:
        """Go on from what earlier tries of a task kept.

        Args:
            context: Airflow's, of this try.
        """
        ti = context["ti"]
        # One that was cleared by hand begins anew, with as many tries as at first.
        is_retry = ti.max_tries - ti.try_number + 1 < context["task"].retries
        memory = context.get("task_state_store")
        progress = cls(is_retry, memory)
        kept = memory.get(_KEY) if memory is not None else None
        if is_retry and kept:
            progress.settled = dict(kept)
            progress.bad = {name: why for name, why in kept.items() if why}
        elif memory is not None and kept:
            memory.set(_KEY, {})
        return progress

    def left(self, accounts: Iterable[str]) -> list[str]:
        """Return those that are neither loaded nor refused for good."""
        return [name for name in accounts if name not in self.settled]

    def done(self, account: str) -> None:
        """Note that an account was loaded."""
        self._settle(account, _DONE)

    def refused(self, account: str, reason: str) -> None:
        """Note that an account cannot be loaded before somebody changes something."""
        self.bad[account] = reason
        self._settle(account, reason)

    def failed(self, account: str, reason: str) -> None:
        """Note that an account was not loaded, and may be by another try."""
        self.bad[account] = reason
        self.may_pass = True

    def told(self, accounts: Sequence[str]) -> str:
        """Say in a line what is not loaded, and why.

        Args:
            accounts: All of the task.
        """
        if len(accounts) == 1:
            return self.bad[accounts[0]]
        each = "; ".join(f"{name}: {reason}" for name, reason in self.bad.items())
        return f"{len(self.bad)} of {len(accounts)} accounts were not loaded: {each}"

    def _settle(self, account: str, reason: str) -> None:
        self.settled[account] = reason
        if self.memory is not None:
            self.memory.set(_KEY, self.settled)
