"""Conversations that are answered in a way of their own, run after run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from tap_kommo_chats.errors import IncompleteRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.exchange import SeenRequest
    from tap_kommo_chats.errors import TapError
    from tests.support.account import Account
    from tests.support.tap import Output


def answers(
    statuses: Mapping[str, int],
) -> Callable[[SeenRequest], web.Response | None]:
    """Answer some conversations with a code; those that are left out as they are.

    Args:
        statuses: The code by conversation. A name ending in `*` is of all that begin
            so.
    """

    def answer(seen: SeenRequest) -> web.Response | None:
        id_ = seen.conversation_id
        for name, status in statuses.items():
            begins_so = name.endswith("*") and (id_ or "").startswith(name[:-1])
            if id_ is not None and (id_ == name or begins_so):
                return _answer(status)
        return None

    return answer


def _answer(status: int) -> web.Response:
    if status == web.HTTPNoContent.status_code:
        return web.Response(status=status)
    return web.json_response({"error_type": "NO"}, status=status)


class Runs:
    """One run after another of an account, whatever becomes of each."""

    def __init__(self, account: Account, **more: object) -> None:  # noqa: D107
        self.account = account
        self.more = more
        self.state: dict[str, Any] = {}
        self.error: TapError | None = None

    def run(self, after_ms: int = 0, **more: object) -> Output:
        """Run once the clock was moved on."""
        self.account.now += after_ms
        self.account.sandbox.forget_requests()
        self.error = None
        output, self.error = self.account.try_run(self.state, **{**self.more, **more})
        self.state = output.state
        return output

    @property
    def asked(self) -> list[str]:
        return self.account.asked()

    @property
    def is_incomplete(self) -> bool:
        return isinstance(self.error, IncompleteRunError)

    def trouble(self, id_: str = "dead") -> str | None:
        troubles = self.state["bookmarks"]["chat_history"].get("troubles", {})
        return next((kind for kind, ids in troubles.items() if id_ in ids), None)


def outcomes(output: Output) -> dict[str, str]:
    rows = output.records_of("conversations")
    return {row["conversation_id"]: row["outcome"] for row in rows}
