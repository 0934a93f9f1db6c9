"""Checking a sandbox in this process, and running the tap on the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_kommo_chats.check.report import Level
from tap_kommo_chats.command import checked
from tap_kommo_chats.errors import TapError
from tap_kommo_chats.tap import TapKommoChats
from tests.support.native import NativeAccount
from tests.support.tap import captured_output

if TYPE_CHECKING:
    from collections.abc import Collection

    from tap_kommo_chats.check.report import Line, Report


class CheckedAccount(NativeAccount):
    """An account with a channel of its own and a native one, and something in each."""

    CHAT = "30477717-9f3c-4d3f-8101-60327e14dc48"
    TEXT = "the words of a customer"
    NAME = "Ana Example"

    def fill(self) -> None:
        """Let something be of everything that a run reads."""
        store = self.crm.store
        store.users.add(1, self.NAME)
        store.pipelines.add(6, self.NAME, {60: self.NAME})
        for number in (1, 2):
            store.leads.add(number, created_at=self.now // 1000, name=self.NAME)
        self.talk(1, self.CHAT, entity_id=1)
        for age_ms in (1000, 2000, 3000):
            self.message(self.CHAT, age_ms)
            self.event(talk_id=1)
        self.open_talk(2, "native", entity_id=2)
        for age_ms in (1000, 2000, 3000):
            self.say(2, age_ms, text=self.TEXT)
        self.now += 10_000

    def config(self, **more: object) -> dict[str, Any]:
        """The settings that read all of it."""
        return self.with_channel(**more)

    def tap_for(
        self, config: dict[str, Any], streams: Collection[str] | None, *, is_run: bool
    ) -> TapKommoChats:
        """Make a tap with some of the streams selected; with all if None."""
        catalog = None
        if streams is not None:
            catalog = TapKommoChats(config=config, validate_config=False).catalog_dict
            for entry in catalog["streams"]:
                selected = entry["tap_stream_id"] in streams
                entry["metadata"][-1]["metadata"]["selected"] = selected
        return TapKommoChats(
            config=config,
            catalog=catalog,
            validate_config=is_run,
            setup_mapper=is_run,
        )

    def check(
        self,
        config: dict[str, Any] | None = None,
        streams: Collection[str] | None = None,
    ) -> Report:
        """Check it."""
        config = self.config() if config is None else config
        return checked(self.tap_for(config, streams, is_run=False))

    def is_read(
        self,
        config: dict[str, Any] | None = None,
        streams: Collection[str] | None = None,
    ) -> bool:
        """Run the tap; tell whether it would end with exit code 0."""
        config = self.config() if config is None else config
        with captured_output():
            try:
                self.tap_for(config, streams, is_run=True).sync_all()
            except TapError:
                return False
        return True


def lines_of(report: Report, *levels: Level) -> dict[str, str]:
    """The texts of the lines of some levels, by what they are about."""
    return {line.subject: line.text for line in report.lines if line.level in levels}


def line_of(report: Report, subject: str) -> Line:
    """The one line about something."""
    (line,) = [line for line in report.lines if line.subject == subject]
    return line


def seen(report: Report, point: str) -> tuple[bool | None, str]:
    """What was seen of something."""
    (found,) = [each for each in report.sightings if each.point == point]
    return found.seen, found.detail


FAILING = (Level.FAILED, Level.NOT_ASKED)
