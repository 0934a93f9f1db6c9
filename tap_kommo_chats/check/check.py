"""One check: what is asked, in which order, and the lines that come of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.metadata import version
from typing import TYPE_CHECKING

from tap_kommo_chats.check import access_lines, chat_lines, crm_lines, sightings
from tap_kommo_chats.check.ask import Answer, Asker, Budget
from tap_kommo_chats.check.chats import ChatsAnswers, ChatsQuestions
from tap_kommo_chats.check.crm import Asked, CrmAnswers, CrmQuestions
from tap_kommo_chats.check.lists import Lists
from tap_kommo_chats.check.report import Line, Report
from tap_kommo_chats.check.usable import usable_settings
from tap_kommo_chats.kommo.auth import BearerToken, KommoAuthenticator
from tap_kommo_chats.redaction import Redaction
from tap_kommo_chats.run.hosts import PACKAGE, host_at
from tap_kommo_chats.settings.secrets import secrets_of
from tap_kommo_chats.state.layout import MESSAGES, SEARCHED, TALK_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.check.report import Sighting
    from tap_kommo_chats.settings.reader import Config
    from tap_kommo_chats.settings.values import CrmSettings, Settings


@dataclass(frozen=True, slots=True)
class Given:
    """What is to be checked.

    Attributes:
        config: The configuration, whatever is wrong with it.
        problems: Why it cannot be used, one line each.
        notes: What an operator should know of it, one line each.
        streams: The streams that are selected.
        now_ms: The current time, in milliseconds since 1970.
    """

    config: Config
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    streams: frozenset[str]
    now_ms: int


def check(given: Given) -> Report:
    """Say whether a run would work.

    Kommo is sent a dozen requests at most, each once.
    """
    report = _Check(given).report()
    return report.shown_by(Redaction(secrets_of(given.config)))


class _Check:
    """Asks for all that a run needs, and puts the lines together."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._usable = usable_settings(given.config)
        self._budget = Budget()
        self._streams = self._read_streams()
        self._lists = Lists()
        self._crm: CrmAnswers | None = None
        self._chats: ChatsAnswers | None = None

    def report(self) -> Report:
        self._ask()
        return Report(
            version=version(PACKAGE),
            streams=tuple(sorted(self._given.streams)),
            requests=self._budget.spent,
            lines=tuple(self._lines()),
            sightings=tuple(self._sightings()),
        )

    def _read_streams(self) -> frozenset[str]:
        """Leave out the streams whose channels a run would not read."""
        unread = set()
        crm = self._usable.crm
        if self._usable.channel is None:
            unread.add(MESSAGES)
        if crm is None or crm.crm is None or not crm.crm.reads_native:
            unread.add(TALK_MESSAGES)
        return self._given.streams - unread

    def _ask(self) -> None:
        settings, questions = self._usable.crm, None
        if settings is not None and (crm := settings.crm) is not None:
            asker = Asker(
                host_at(crm.url, "crm_url", settings, attempts=1),
                "application/hal+json",
                BearerToken(crm.access_token),
                self._budget,
            )
            asked = Asked(crm.origins, self._ignored, self._streams, self._given.now_ms)
            questions = CrmQuestions(asker, asked)
            self._crm = questions.answers
            questions.ask_needed()
        if self._usable.whole is not None and self._streams & {*SEARCHED}:
            self._lists.look(self._usable.whole, self._account_id)
        if self._usable.whole is not None:
            self._lists.look_at_found(self._usable.whole, self._account_id)
        if self._usable.channel is not None and MESSAGES in self._streams:
            self._chats = self._ask_chats(self._usable.channel)
        if questions is not None:
            questions.ask_more()

    def _ask_chats(self, settings: Settings) -> ChatsAnswers:
        scope_id = settings.scope_id
        if scope_id is None:
            amojo_id = None if self._crm is None else self._crm.whose.amojo_id
            if amojo_id is None:
                return ChatsAnswers()
            scope_id = f"{settings.channel_id}_{amojo_id}"
        asker = Asker(
            host_at(settings.api_url, "api_url", settings, attempts=1),
            "application/json",
            KommoAuthenticator(settings.channel_secret or ""),
            self._budget,
        )
        conversation_id, is_named = self._conversation()
        return ChatsQuestions(asker, scope_id).ask(conversation_id, is_named=is_named)

    def _conversation(self) -> tuple[str | None, bool]:
        """Say which conversation to ask for, and whether it is known to have messages.

        One that both APIs may know comes first.
        """
        crm = self._crm_settings
        if crm is not None and self._crm is not None:
            talk = self._crm.longest(crm.origins, self._ignored, own=True)
            if talk is not None and talk.chat_id is not None:
                return talk.chat_id, talk.talk_id in self._crm.told
        return self._lists.first, False

    @property
    def _account_id(self) -> int | None:
        whose = None if self._crm is None else self._crm.whose
        return None if whose is None else whose.number

    @property
    def _ignored(self) -> frozenset[str]:
        whole = self._usable.whole
        return frozenset() if whole is None else whole.ignored_conversation_ids

    @property
    def _crm_settings(self) -> CrmSettings | None:
        return None if self._usable.crm is None else self._usable.crm.crm

    def _lines(self) -> Iterator[Line]:
        given, crm = self._given, self._crm_settings
        channel = self._usable.channel
        yield from access_lines.settings_lines(given.problems, given.notes)
        yield from self._lists.lines
        clock = access_lines.clock_line(
            [answer.ahead_s for answer in self._answers()],
            signs=self._chats is not None,
        )
        if clock is not None:
            yield clock
        if crm is not None and self._crm is not None:
            yield from access_lines.token_lines(
                crm.access_token,
                given.now_ms,
                self._streams,
                messages_came=self._crm.messages.is_good,
            )
            yield from crm_lines.endpoint_lines(self._crm, self._streams)
            if channel is not None and self._crm.account.is_good:
                yield access_lines.scope_line(self._crm.whose, channel)
            yield from crm_lines.origins_lines(self._crm, crm.origins)
        if self._chats is not None:
            yield from chat_lines.chat_lines(self._chats)

    def _sightings(self) -> Iterator[Sighting]:
        crm, channel = self._crm_settings, self._usable.channel
        if crm is not None and self._crm is not None:
            yield sightings.host_sighting("The CRM is", crm.url)
            yield from sightings.token_sightings(crm.access_token)
            yield from sightings.crm_sightings(self._crm)
            if self._chats is not None:
                yield sightings.same_ids(self._crm, self._chats)
        if channel is not None and self._chats is not None:
            yield sightings.host_sighting("The Chats API is", channel.api_url)
            yield from sightings.chats_sightings(self._chats)

    def _answers(self) -> Iterator[Answer]:
        for some in (self._crm, self._chats):
            if some is not None:
                values = (getattr(some, field.name) for field in fields(some))
                yield from (value for value in values if isinstance(value, Answer))
