"""What the CRM is asked for in a check: each endpoint that a run needs, once."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tap_kommo_chats.check.ask import NOT_ASKED
from tap_kommo_chats.errors import BadRequestError
from tap_kommo_chats.kommo.crm import (
    ACCOUNT,
    CHANGED_FROM,
    EVENTS,
    HAPPENED_FROM,
    HAPPENED_TO,
    LEADS,
    LEADS_ORDER,
    NUMBERED,
    OF_TYPES,
    PIPELINES,
    TALKS,
    USERS,
    WITH_ACCOUNT,
    WITH_LEADS,
    WITH_USERS,
)
from tap_kommo_chats.kommo.crm_answers import read_answer, rows_of
from tap_kommo_chats.kommo.pages import PAGE, SMALLER_PAGE
from tap_kommo_chats.records.accounts import read_account
from tap_kommo_chats.records.talk_messages import read_talk_message
from tap_kommo_chats.sources.events import MESSAGE_TYPES, TALK_TYPES, read_event
from tap_kommo_chats.sources.talk_lookup import read_talks
from tap_kommo_chats.state.layout import LEADS as LEADS_STREAM
from tap_kommo_chats.state.layout import SEARCHED, TALK_MESSAGES
from tap_kommo_chats.times import DAY_MS, SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tap_kommo_chats.check.ask import Answer, Asker
    from tap_kommo_chats.kommo.crm import Query
    from tap_kommo_chats.origins import Origins
    from tap_kommo_chats.records.accounts import Account
    from tap_kommo_chats.records.messages import Row
    from tap_kommo_chats.records.talks import Talk

MESSAGES_ASKED = 20
"""As few as tell their order: they have texts in them."""

_ANY_TALK = 1
"""Asked for where none is known: what the plan and the token lack is said of any."""

LONG_AGO_MS = 365 * DAY_MS


@dataclass(slots=True)
class CrmAnswers:
    """What the CRM answered, by what it was asked for.

    Attributes:
        account: The account.
        events: The newest chat events.
        all_types: Whether all types of events were asked for, and not messages alone.
        talks: The first page of the list of talks.
        talks_at_once: How many of them were asked for.
        users: One user.
        pipelines: The pipelines.
        leads: The leads that change from now on, at most one.
        has_lead_filter: Whether they were asked for in this way, and not for any one.
        talk: The talk whose messages were asked for; None for one that is not known.
        messages: Some of its messages.
        since: Those from the second of the newest of them on.
        numbered: Some talk by a filter on its number.
        own_messages: Messages of a talk of the channel of one's own, asked for here.
        long_ago: An event of more than a year ago.
    """

    account: Answer = NOT_ASKED
    events: Answer = NOT_ASKED
    all_types: bool = True
    talks: Answer = NOT_ASKED
    talks_at_once: int = PAGE
    users: Answer = NOT_ASKED
    pipelines: Answer = NOT_ASKED
    leads: Answer = NOT_ASKED
    has_lead_filter: bool = True
    talk: Talk | None = None
    messages: Answer = NOT_ASKED
    since: Answer = NOT_ASKED
    numbered: Answer = NOT_ASKED
    own_messages: Answer = NOT_ASKED
    long_ago: Answer = NOT_ASKED

    @property
    def whose(self) -> Account:
        """The account, as far as the CRM told."""
        return read_account(dict(self.account.content or {}))

    @property
    def listed(self) -> list[Talk]:
        """The talks of the first page of the list."""
        return read_talks(rows(self.talks, "talks"))

    @property
    def told(self) -> set[int]:
        """The numbers of the talks that events tell messages of."""
        events = [read_event(row, 0) for row in rows(self.events, "events")]
        return {
            event.talk_id
            for event in events
            if event is not None and event.is_message and event.talk_id is not None
        }

    def longest(
        self, origins: Origins, ignored: Collection[str] = (), *, own: bool
    ) -> Talk | None:
        """Return a listed talk that likely has several messages.

        That is the longest of those that events tell messages of, if there are some.

        Args:
            origins: The channels that are looked at.
            ignored: Conversations that are not read.
            own: Whether it is to be of one's own channel, or of another.
        """
        is_meant = origins.is_own if own else origins.is_native
        told = self.told

        def likely(talk: Talk) -> tuple[bool, int]:
            return talk.talk_id in told, (talk.updated_ms or 0) - talk.began_ms

        found = [
            talk
            for talk in self.listed
            if is_meant(talk.origin)
            and talk.chat_id not in ignored
            and str(talk.talk_id) not in ignored
        ]
        return max(found, key=likely, default=None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run would look at.

    Attributes:
        origins: The channels.
        ignored: Conversations that are not read.
        streams: The streams.
        now_ms: The current time, in milliseconds since 1970.
    """

    origins: Origins
    ignored: frozenset[str]
    streams: frozenset[str]
    now_ms: int


class CrmQuestions:
    """Asks one account's CRM.

    Attributes:
        answers: What was answered so far.
    """

    def __init__(self, asker: Asker, asked: Asked) -> None:
        """Ask nothing yet.

        Args:
            asker: Asks.
            asked: What a run would look at.
        """
        self.answers = CrmAnswers()
        self._asker = asker
        self._asked = asked
        self._streams = asked.streams
        self._now_ms = asked.now_ms

    def ask_needed(self) -> None:
        """Ask for what a run needs."""
        answers = self.answers
        answers.account = self._ask(ACCOUNT, WITH_ACCOUNT)
        if self._streams & {*SEARCHED}:
            self._ask_search()
        if "users" in self._streams:
            answers.users = self._ask(USERS, _query([WITH_USERS], 1))
        if "pipelines" in self._streams:
            answers.pipelines = self._ask(PIPELINES, "")
        if LEADS_STREAM in self._streams:
            self._ask_leads()
        if TALK_MESSAGES in self._streams:
            answers.talk = self._longest(own=False)
            talk_id = answers.talk.talk_id if answers.talk else _ANY_TALK
            answers.messages = self._messages(talk_id, [])

    def ask_more(self) -> None:
        """Ask for what nobody knows of Kommo, as far as requests are left."""
        answers = self.answers
        listed = answers.listed
        if len(listed) > 1:
            query = [(NUMBERED, str(listed[-1].talk_id))]
            answers.numbered = self._ask(TALKS, _query(query, MESSAGES_ASKED))
        if answers.messages.is_good:
            self._ask_more_messages()
        if answers.events.is_good:
            query = _of_types(MESSAGE_TYPES, self._now_ms - LONG_AGO_MS)
            answers.long_ago = self._ask(EVENTS, _query(query, 1))

    def _ask_search(self) -> None:
        answers = self.answers
        query = _of_types((*MESSAGE_TYPES, *TALK_TYPES), self._now_ms)
        answers.events = self._ask(EVENTS, _query(query, SMALLER_PAGE))
        if isinstance(answers.events.error, BadRequestError):
            # A run goes on without the types that are not taken.
            answers.all_types = False
            query = _of_types(MESSAGE_TYPES, self._now_ms)
            answers.events = self._ask(EVENTS, _query(query, SMALLER_PAGE))
        answers.talks = self._ask(TALKS, _query([], PAGE))
        if isinstance(answers.talks.error, BadRequestError):
            answers.talks_at_once = SMALLER_PAGE
            answers.talks = self._ask(TALKS, _query([], SMALLER_PAGE))

    def _ask_leads(self) -> None:
        answers = self.answers
        query = [*LEADS_ORDER, WITH_LEADS]
        changed = (CHANGED_FROM, str(self._now_ms // SECOND_MS))
        answers.leads = self._ask(LEADS, _query([changed, *query], 1))
        if isinstance(answers.leads.error, BadRequestError):
            # A run goes on without filters.
            answers.has_lead_filter = False
            answers.leads = self._ask(LEADS, _query(query, 1))

    def _ask_more_messages(self) -> None:
        answers = self.answers
        times = [row.sent_ms for row in message_rows(answers.messages) if row.sent_ms]
        if times and answers.talk is not None:
            since = [(HAPPENED_FROM, str(max(times) // SECOND_MS))]
            answers.since = self._messages(answers.talk.talk_id, since)
        own = self._longest(own=True)
        if own is not None:
            answers.own_messages = self._messages(own.talk_id, [])

    def _longest(self, *, own: bool) -> Talk | None:
        asked = self._asked
        return self.answers.longest(asked.origins, asked.ignored, own=own)

    def _messages(self, talk_id: int, query: Query) -> Answer:
        path = f"{TALKS}/{talk_id}/messages"
        return self._ask(path, _query(query, MESSAGES_ASKED))

    def _ask(self, path: str, query: str) -> Answer:
        is_crm = self.answers.account.status == HTTPStatus.OK
        return self._asker.ask(
            path, query, lambda response: read_answer(response, path, is_crm=is_crm)
        )


def rows(answer: Answer, name: str) -> list[object]:
    """Return the rows of an answer; none where it has none."""
    return [] if answer.content is None else rows_of(answer.content, name)


def message_rows(answer: Answer) -> list[Row]:
    """Return the messages of an answer; none where it has none."""
    return [
        read_talk_message(value, place)
        for place, value in enumerate(rows(answer, "messages"))
    ]


def _of_types(types: Iterable[str], until_ms: int) -> Query:
    until = (HAPPENED_TO, str(until_ms // SECOND_MS))
    return [*((OF_TYPES, kind) for kind in types), until]


def _query(query: Query, limit: int) -> str:
    return urlencode([*query, ("limit", str(limit))])
