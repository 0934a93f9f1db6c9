"""What the answers of the CRM mean for a run, endpoint by endpoint. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from tap_kommo_chats.check.crm import message_rows, rows
from tap_kommo_chats.check.report import Level, Line
from tap_kommo_chats.errors import (
    ForbiddenError,
    NotFoundError,
    PlanError,
    ScopeError,
)
from tap_kommo_chats.kommo import crm
from tap_kommo_chats.kommo.crm_answers import next_query
from tap_kommo_chats.printable import printable
from tap_kommo_chats.run.talk_messages import why_no_talk
from tap_kommo_chats.sources.crm import OWN_ORIGIN
from tap_kommo_chats.sources.events import read_event
from tap_kommo_chats.state.layout import LEADS, SEARCHED, TALK_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.check.ask import Answer
    from tap_kommo_chats.check.crm import CrmAnswers
    from tap_kommo_chats.origins import Origins

_WITH_ACCOUNT_NUMBER = frozenset(("accounts", "users", TALK_MESSAGES))
"""Streams whose rows do not tell the account's number themselves."""

_ORIGINS_AT_MOST = 20
_ORIGIN_AT_MOST = 60
"""Characters of an origin that are shown."""

_NOT_ASKED = "was not asked: see above"


def endpoint_lines(answers: CrmAnswers, streams: frozenset[str]) -> Iterator[Line]:
    """Say of each endpoint that a run of some streams needs whether it answers."""
    yield _account_line(answers, streams)
    if streams & {*SEARCHED}:
        yield _events_line(answers)
        yield _line(crm.TALKS, answers.talks)
    if "users" in streams:
        yield _users_line(answers.users)
    if "pipelines" in streams:
        yield _line(crm.PIPELINES, answers.pipelines)
    if LEADS in streams:
        yield _leads_line(answers)
    if TALK_MESSAGES in streams:
        yield _add_on_line(answers)


def origins_lines(answers: CrmAnswers, origins: Origins) -> Iterator[Line]:
    """Say which channels there are, and whether any of them is looked at.

    Args:
        answers: The CRM's.
        origins: The channels that are looked at.
    """
    if not (answers.talks.is_good and answers.events.is_good):
        return
    talks = Counter(talk.origin for talk in answers.listed if talk.origin)
    events = [read_event(row, 0) for row in rows(answers.events, "events")]
    met = {event.origin for event in events if event and event.origin}
    yield Line("origins", Level.OK, _told(talks, met, len(answers.listed)))
    there_are = {*talks, *met}
    named = origins.own | {name for name in origins.native if name != "*"}
    if there_are and not any(map(origins.has, there_are)):
        text = (
            "match none of these, so that a first run finds no conversation: take one "
            "of them"
        )
        yield Line("crm_origins", Level.FAILED, text)
    elif missing := sorted(named - there_are):
        text = f"{_quoted(missing)} is not among these: check that it is meant"
        yield Line("crm_origins", Level.WARNING, text)


def _told(talks: Counter[str], met: set[str], count: int) -> str:
    most = sorted(talks.items(), key=lambda each: (-each[1], each[0]))
    told = [
        f"{_quoted([origin])} ({number})" for origin, number in most[:_ORIGINS_AT_MOST]
    ]
    told += [
        f"{_quoted([origin])} (events only)"
        for origin in sorted(met - {*talks})[:_ORIGINS_AT_MOST]
    ]
    if not told:
        return "none yet, because there is neither a talk nor a chat event"
    more = ", ..." if len(talks) > _ORIGINS_AT_MOST else ""
    return (
        f"{', '.join(told)}{more} of the {count} talks listed "
        "first; an integration's own begins with amo.ext."
    )


def _quoted(origins: list[str]) -> str:
    """Write origins as they stand in a configuration."""
    shown = [printable(origin, _ORIGIN_AT_MOST) for origin in origins]
    return ", ".join(json.dumps(origin) for origin in shown[:_ORIGINS_AT_MOST])


def _line(path: str, answer: Answer, good: str = "answers") -> Line:
    if not answer.was_asked:
        return Line(path, Level.NOT_ASKED, _NOT_ASKED)
    if answer.error is None:
        return Line(path, Level.OK, good)
    return Line(path, Level.FAILED, _said(answer.error))


def _said(error: Exception) -> str:
    """Say what an error says, without the path, which the line's subject is."""
    return re.sub(r"^GET \S+: ", "", str(error))


def _account_line(answers: CrmAnswers, streams: frozenset[str]) -> Line:
    answer, account = answers.account, answers.whose
    is_told = answer.error is None or answer.status in crm.TELLS_NO_ACCOUNT
    if not is_told:
        return _line(crm.ACCOUNT, answer)
    why = "" if answer.error is None else f"{_said(answer.error)}; "
    needing = sorted(streams & _WITH_ACCOUNT_NUMBER)
    if account.number is None and needing:
        text = (
            f"{why}the account's number is not told, which is part of the key of "
            f"{', '.join(needing)}: make the token as an administrator of the account"
        )
        return Line(crm.ACCOUNT, Level.FAILED, text)
    if account.number is None:
        text = f"{why}the account's number is not told; a run goes on without it"
        return Line(crm.ACCOUNT, Level.WARNING, text)
    return Line(crm.ACCOUNT, Level.OK, "tells which account it is")


def _events_line(answers: CrmAnswers) -> Line:
    line = _line(crm.EVENTS, answers.events)
    if line.level is Level.OK and not answers.all_types:
        text = "takes no events of talks; a run goes on with those of messages"
        return Line(crm.EVENTS, Level.WARNING, text)
    return line


def _users_line(answer: Answer) -> Line:
    if isinstance(answer.error, ForbiddenError):
        text = f"are left out of a run, which goes on: {_said(answer.error)}"
        return Line(crm.USERS, Level.WARNING, text)
    return _line(crm.USERS, answer)


def _leads_line(answers: CrmAnswers) -> Line:
    line = _line(crm.LEADS, answers.leads)
    if line.level is Level.OK and not lead_filter_is_heeded(answers):
        text = (
            "has no filters in this account; a run goes through all leads instead, the "
            "last changed first"
        )
        return Line(crm.LEADS, Level.WARNING, text)
    return line


def lead_filter_is_heeded(answers: CrmAnswers) -> bool:
    """Tell whether leads can be asked for by the time of their last change."""
    # Those that change from now on are none yet.
    return answers.has_lead_filter and not rows(answers.leads, "leads")


def _add_on_line(answers: CrmAnswers) -> Line:
    subject = f"{crm.TALKS}/{{id}}/messages"
    answer = answers.messages
    error = answer.error
    if isinstance(error, PlanError | ScopeError):
        return Line(subject, Level.FAILED, why_no_talk(error))
    if isinstance(error, NotFoundError) and answers.talk is None:
        # None is known, and no other refusal came first.
        text = "answers; there is no talk yet to read"
        return Line(subject, Level.OK, text)
    if answer.is_good and (flaw := _flaw_of_messages(answers)):
        return Line(subject, Level.FAILED, flaw)
    return _line(subject, answer, "answers: plan and token have what native chats need")


def _flaw_of_messages(answers: CrmAnswers) -> str | None:
    """Say what is wrong with messages that were given; None when nothing is."""
    talk, messages = answers.talk, message_rows(answers.messages)
    if any(row.flaw for row in messages):
        return "has rows that cannot be delivered; a run names each"
    is_expected = (
        talk is not None
        and talk.talk_id in answers.told
        # Nobody knows whether talks give the messages of an integration's channel.
        and not talk.origin.startswith(OWN_ORIGIN)
    )
    if is_expected and not messages:
        return "gives no message, though an event tells of one: tell Kommo's support"
    return None


def has_next(answer: Answer) -> bool:
    """Tell whether a page names the next one."""
    return answer.content is not None and next_query(answer.content) is not None
