"""What the answers of the Chats API mean for a run. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_kommo_chats.check.report import Level, Line
from tap_kommo_chats.errors import RefusedError
from tap_kommo_chats.kommo.pagination import HistoryPaginator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.check.chats import ChatsAnswers

_SECRET = "channel_secret"  # noqa: S105 (the setting's name)
_CONVERSATION = "conversation"
_ORDER = "order of messages"
_PAST_THE_END = "offset past the end"


def chat_lines(answers: ChatsAnswers) -> Iterator[Line]:
    """Say whether the channel's conversations can be read, and in which order."""
    newest = answers.newest
    if not newest.was_asked:
        yield Line(_SECRET, Level.NOT_ASKED, "was not tried: see above")
        return
    if newest.error is not None and not answers.no_chat.is_good:
        yield Line(_SECRET, Level.FAILED, _why(newest.error))
        return
    yield Line(_SECRET, Level.OK, "the signature is accepted")
    if newest.error is not None:
        yield Line(_CONVERSATION, Level.FAILED, str(newest.error))
        return
    if answers.is_named and not answers.rows:
        text = (
            "has no message, though an event of the CRM tells of one: check that "
            "scope_id is of the channel of crm_origins"
        )
        yield Line(_CONVERSATION, Level.FAILED, text)
        return
    flaws = [row.flaw for row in answers.rows if row.flaw]
    if flaws:
        text = (
            f"{len(flaws)} of the newest {len(answers.rows)} rows of a conversation "
            f"cannot be delivered ({flaws[0]}); a run names each"
        )
        yield Line("rows", Level.FAILED, text)
    yield Line(_ORDER, *_order(answers))
    if answers.past_the_end.was_asked:
        yield Line(_PAST_THE_END, *_end(answers))


def comes_newest_first(answers: ChatsAnswers) -> bool | None:
    """Tell whether a conversation comes newest first; None when nothing tells."""
    rows = answers.rows
    if len({row.sent_ms for row in rows}) < len(("newer", "older")):
        return None
    return HistoryPaginator().accept(rows).newest_first


def what_lies_past_the_end(answers: ChatsAnswers) -> str:
    """Say what an offset past the end answers."""
    answer = answers.past_the_end
    if answer.status is None:
        return "no answer"
    if answer.status != HTTPStatus.OK:
        return str(answer.status)
    if answer.error is not None:
        return f"{answer.status}, which cannot be read"
    return f"{answer.status} with {'rows' if answer.content.rows else 'an empty list'}"


def _why(error: Exception) -> str:
    """Say what is wrong if all are answered like this one."""
    suspicion = error.suspicion if isinstance(error, RefusedError) else None
    return suspicion or str(error)


def _order(answers: ChatsAnswers) -> tuple[Level, str]:
    newest_first = comes_newest_first(answers)
    if newest_first is None:
        return Level.OK, "not seen: no conversation with several messages is known"
    if newest_first:
        return Level.OK, "newest first"
    text = "not newest first: each conversation is read to its end in every run"
    return Level.WARNING, text


def _end(answers: ChatsAnswers) -> tuple[Level, str]:
    answer = answers.past_the_end
    found = what_lies_past_the_end(answers)
    if answer.error is None and not (answer.content and answer.content.rows):
        return Level.OK, found
    return Level.WARNING, f"{found}; please report it"
