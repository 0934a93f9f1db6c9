"""What Kommo does not document, as one account's answers show it. Pure.

Nothing here is of the account: codes, orders, names of fields and words that are
Kommo's own.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tap_kommo_chats.check.ask import field_names
from tap_kommo_chats.check.chat_lines import (
    comes_newest_first,
    what_lies_past_the_end,
)
from tap_kommo_chats.check.crm import MESSAGES_ASKED, message_rows, rows
from tap_kommo_chats.check.crm_lines import has_next, lead_filter_is_heeded
from tap_kommo_chats.check.report import Sighting
from tap_kommo_chats.kommo.pages import PAGE
from tap_kommo_chats.kommo.token import MESSAGES_SCOPE, read_claims
from tap_kommo_chats.records.messages import SCHEMA
from tap_kommo_chats.records.talk_messages import (
    BEFORE_ITS_TALK_MS,
    MILLISECONDS_FROM,
    TALK_MESSAGES,
)
from tap_kommo_chats.sources.events import TALK_TYPES, read_event
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_kommo_chats.check.ask import Answer
    from tap_kommo_chats.check.chats import ChatsAnswers
    from tap_kommo_chats.check.crm import CrmAnswers

_KOMMOS = ("kommo.com", "amocrm.ru", "amocrm.com")
_WORD = re.compile(r"[a-z_]{1,30}", re.ASCII)
_KNOWN_OF_MESSAGES = frozenset(TALK_MESSAGES.known) | {"id", "chat_id", "type"}
_KNOWN_OF_ROWS = frozenset(SCHEMA["properties"])


def host_sighting(what: str, url: str) -> Sighting:
    """Say which of Kommo's domains an API is on, without the account's part of it."""
    host = urlsplit(url).hostname or ""
    found = [domain for domain in _KOMMOS if f".{host}".endswith(f".{domain}")]
    return Sighting(f"{what} on", bool(found), found[0] if found else "another host")


def token_sightings(token: str) -> Iterator[Sighting]:
    """Say what a token tells."""
    claims = read_claims(token)
    yield Sighting("The token is a JWT", claims is not None)
    if claims is not None:
        scopes = claims.scopes
        yield Sighting("It tells its end", claims.ends_ms is not None)
        yield Sighting(
            f"It names {MESSAGES_SCOPE}",
            None if scopes is None else MESSAGES_SCOPE in scopes,
        )


def chats_sightings(answers: ChatsAnswers) -> Iterator[Sighting]:
    """Say what the Chats API shows."""
    newest, end = answers.newest, answers.past_the_end
    yield Sighting("Conversations come newest first", comes_newest_first(answers))
    yield Sighting(
        "Offset past the end answers 204",
        what_lies_past_the_end(answers) == "204" if end.was_asked else None,
        what_lies_past_the_end(answers) if end.was_asked else "",
    )
    values = _objects(row.value for row in answers.rows)
    yield Sighting(
        "Rows have msec_timestamp", _all("msec_timestamp" in row for row in values)
    )
    unknown = {name for row in values for name in row} - _KNOWN_OF_ROWS
    yield _fields("Rows have fields that are not documented", values, unknown)
    if newest.error is None and not answers.is_known:
        yield Sighting("A chat that does not exist answers 204", newest.status == 204)  # noqa: PLR2004 (it is named)
    yield from _refusals("The Chats API", (newest, end))


def crm_sightings(answers: CrmAnswers) -> Iterator[Sighting]:
    """Say what the CRM shows."""
    yield from _of_talks(answers)
    yield from _of_events(answers)
    leads = answers.leads
    yield Sighting(
        "Leads can be filtered by time",
        lead_filter_is_heeded(answers) if leads.is_good else None,
    )
    yield from _of_messages(answers)
    yield from _refusals(
        "The CRM",
        (
            *(answers.account, answers.events, answers.talks, answers.users),
            *(answers.pipelines, leads, answers.messages, answers.since),
            *(answers.numbered, answers.own_messages, answers.long_ago),
        ),
    )


def same_ids(answers: CrmAnswers, chats: ChatsAnswers | None) -> Sighting:
    """Say whether both APIs know a message by the same id.

    Args:
        answers: The CRM's, of a talk of the channel of one's own.
        chats: The Chats API's, of that talk's conversation.
    """
    theirs = {row.message_id for row in message_rows(answers.own_messages)}
    ours = set() if chats is None else {row.message_id for row in chats.rows}
    seen = bool(theirs & ours) if theirs and ours else None
    return Sighting("Both APIs have the same id of a message", seen)


def _of_talks(answers: CrmAnswers) -> Iterator[Sighting]:
    talks, count = answers.talks, len(rows(answers.talks, "talks"))
    is_full = talks.is_good and count >= answers.talks_at_once
    yield Sighting(
        "The list of talks ends at a full page",
        not has_next(talks) if is_full else None,
        f"{count} of {answers.talks_at_once}" if talks.is_good else "",
    )
    yield Sighting(
        f"A page of {PAGE} talks is given",
        answers.talks_at_once == PAGE if talks.is_good else None,
    )
    listed, some = answers.listed, rows(answers.numbered, "talks")
    meant = listed[-1].talk_id if listed else None
    numbers = {str(row.get("talk_id")) for row in _objects(some)}
    yield Sighting(
        "Talks can be filtered by number",
        numbers == {str(meant)} if answers.numbered.is_good else None,
    )


def _of_events(answers: CrmAnswers) -> Iterator[Sighting]:
    events = answers.events
    found = [read_event(row, 0) for row in _objects(rows(events, "events"))]
    read = [event for event in found if event is not None]
    messages = [event for event in read if event.message_id is not None]
    times = [row.get("created_at") for row in _objects(rows(events, "events"))]
    dated = [at for at in times if isinstance(at, int)]
    yield Sighting("Events come newest first", _falling(dated))
    yield Sighting(
        "Events of messages name their talk",
        _all(event.talk_id is not None for event in messages),
    )
    yield Sighting(
        "Events of messages name their origin",
        _all(event.origin is not None for event in messages),
    )
    yield Sighting(
        f"Events of type {' and '.join(TALK_TYPES)} are given",
        answers.all_types if events.is_good else None,
    )
    old = answers.long_ago
    yield Sighting(
        "There are chat events of more than a year ago",
        bool(rows(old, "events")) if old.is_good else None,
    )


def _of_messages(answers: CrmAnswers) -> Iterator[Sighting]:
    answer, own = answers.messages, answers.own_messages
    read = message_rows(answer)
    values = _objects(row.value for row in read)
    times = [row.sent_ms for row in read if row.sent_ms is not None]
    given = answer.is_good if answer.was_asked else None
    yield Sighting("Messages of a talk are given", given, _code(answer))
    yield Sighting("They come newest first", _falling(times))
    yield Sighting("They come oldest first", _falling(times[::-1]))
    is_full = len(read) >= MESSAGES_ASKED
    yield Sighting(
        "A page of them names the next", has_next(answer) if is_full else None
    )
    exact = [row.get("sec_created_at") for row in values]
    numbers = [each for each in exact if isinstance(each, int)]
    yield Sighting(
        "sec_created_at is in milliseconds",
        _all(each >= MILLISECONDS_FROM for each in numbers),
    )
    began_ms = answers.talk.began_ms if answers.talk else 0
    yield Sighting(
        "A talk gives messages of before it began",
        min(times) < began_ms - BEFORE_ITS_TALK_MS if times and began_ms else None,
    )
    yield from _of_filter(answers, times)
    unknown = {name for row in values for name in row} - _KNOWN_OF_MESSAGES
    yield _fields("They have fields that are not documented", values, unknown)
    for name in ("message_type", "delivery_status"):
        words = {str(row.get(name)) for row in values if row.get(name)}
        fit = sorted(word for word in words if _WORD.fullmatch(word))
        yield Sighting(f"{name} is told", bool(fit) if values else None, ", ".join(fit))
    yield Sighting(
        "Talks of one's own channel give messages, too",
        bool(rows(own, "messages")) if own.was_asked else None,
        _code(own),
    )


def _of_filter(answers: CrmAnswers, times: list[int]) -> Iterator[Sighting]:
    """Say what became of a filter on the second of the newest message."""
    since = message_rows(answers.since)
    newest_s = max(times, default=0) // SECOND_MS
    came = [row.sent_ms // SECOND_MS for row in since if row.sent_ms is not None]
    has_older = any(at // SECOND_MS < newest_s for at in times)
    is_good = answers.since.is_good
    yield Sighting(
        "Messages can be filtered by time",
        all(at >= newest_s for at in came) if is_good and has_older else None,
    )
    yield Sighting(
        "The filter's own second belongs to it", newest_s in came if is_good else None
    )


def _refusals(what: str, answers: Iterable[Answer]) -> Iterator[Sighting]:
    """Say what the bodies of refusals look like."""
    refused = [each for each in answers if each.error is not None and each.status]
    shapes = sorted({f"{each.status}: {each.shape}" for each in refused})
    if shapes:
        yield Sighting(f"{what} refuses with a body", True, "; ".join(shapes))  # noqa: FBT003 (it was seen)
    too_many = [each for each in refused if each.status == 429]  # noqa: PLR2004 (it is named)
    if too_many:
        said = any(each.retry_after for each in too_many)
        yield Sighting(f"{what} says with 429 how long to wait", said)


def _code(answer: Answer) -> str:
    return str(answer.status) if answer.status else ""


def _objects(values: Iterable[object]) -> list[Mapping[str, object]]:
    return [value for value in values if isinstance(value, dict)]


def _fields(
    point: str, values: list[Mapping[str, object]], unknown: set[str]
) -> Sighting:
    detail = field_names(unknown) if unknown else ""
    return Sighting(point, bool(unknown) if values else None, detail)


def _all(facts: Iterable[bool]) -> bool | None:
    """Tell whether all are so; None when there is none."""
    known = list(facts)
    return all(known) if known else None


def _falling(times: list[int]) -> bool | None:
    """Tell whether times go back; None when they are all the same, or none."""
    seconds = [at // SECOND_MS if at >= MILLISECONDS_FROM else at for at in times]
    if len(set(seconds)) < len(("newer", "older")):
        return None
    return all(newer >= older for newer, older in pairwise(seconds))
