"""An account whose chats are those of native channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox import CRM_ROOT
from tests.support.account import WABA, Account
from tests.support.tap import run

if TYPE_CHECKING:
    from tests.support.tap import Output


class NativeAccount(Account):
    """An account without a channel of its own, whose clock the test moves."""

    def config(self, **more: object) -> dict[str, Any]:
        return {
            "crm_url": self.sandbox.url,
            "crm_access_token": self.sandbox.crm_token,
            "native_channels": True,
            "requests_per_second": 0,
            "max_concurrency": 2,
            **more,
        }

    def with_channel(self, **more: object) -> dict[str, Any]:
        """The settings that read a channel of one's own, too."""
        return {**super().config(), "native_channels": True, **more}

    def open_talk(self, talk_id: int, chat_id: str, **more: Any) -> None:
        fields = {"origin": WABA, **more}
        self.crm.store.open_talk(talk_id, chat_id, self.now // 1000, **fields)

    def say(self, talk_id: int, age_ms: int = 0, **fields: Any) -> str:
        """Let a message come, with its event."""
        at = (self.now - age_ms) // 1000
        return self.crm.store.add_message(talk_id, at, **fields)

    def run_with(self, config: dict[str, Any], state: Any = None) -> Output:
        with self.clock():
            return run(config, state)

    def talks_asked(self) -> list[int]:
        """The talks whose messages were asked for, once per request."""
        found = []
        for target in self.crm_requests(f"{CRM_ROOT}/talks/"):
            path = target.partition("?")[0]
            if path.endswith("/messages"):
                found.append(int(path.split("/")[-2]))
        return found


def said(output: Output) -> list[str]:
    return [row["message_id"] for row in output.records_of("talk_messages")]
