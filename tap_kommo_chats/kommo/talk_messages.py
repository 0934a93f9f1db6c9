"""The messages of a talk, page by page, as its reader takes them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import (
    BadRequestError,
    ConversationError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnansweredError,
    UnreachableError,
)
from tap_kommo_chats.kommo.pages import Ending
from tap_kommo_chats.kommo.pagination import HistoryPage
from tap_kommo_chats.records.talk_messages import read_talk_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.records.messages import Row


def read_talk_messages(
    crm: CrmApi, talk_id: int, since_ms: int | None
) -> Iterator[HistoryPage]:
    """Read a talk. Each message comes once, however pages overlap.

    Args:
        crm: The account's CRM.
        talk_id: Kommo's number of the talk.
        since_ms: Messages sent before it are not needed, in milliseconds since 1970;
            None for all. The pages may hold some.

    Raises:
        ConversationError: If this talk cannot be read.
        RunError: If none can.
    """
    seen: dict[str, int | None] = {}
    newest_ms: int | None = None
    position = 0
    try:
        for page in crm.talk_messages(talk_id, since_ms):
            rows: list[Row] = []
            for value in page.rows:
                row = read_talk_message(value, position)
                position += 1
                # One that was edited meanwhile is another one.
                if seen.get(row.identity, 0) != row.content_hash:
                    seen[row.identity] = row.content_hash
                    rows.append(row)
            times = [row.sent_ms for row in rows if row.sent_ms is not None]
            newest_ms = max([*times, *filter(None, [newest_ms])], default=None)
            yield HistoryPage(
                tuple(rows),
                newest_first=False,
                is_empty=not seen,
                newest_ms=newest_ms,
            )
            if page.ending is Ending.ENDLESS:
                msg = (
                    f"Conversation of talk {talk_id}: its pages go round without an end"
                )
                raise ConversationError(msg)
    except BadRequestError as error:
        raise _refused(talk_id, error, HTTPStatus.BAD_REQUEST) from None
    except ForbiddenError as error:
        raise _refused(talk_id, error, HTTPStatus.FORBIDDEN) from None
    except NotFoundError as error:
        raise _refused(talk_id, error, HTTPStatus.NOT_FOUND) from None
    except UnansweredError as error:
        msg = f"Conversation of talk {talk_id}: {error}"
        raise UnreachableError(msg) from None


def _refused(talk_id: int, error: Exception, status: HTTPStatus) -> RefusedError:
    return RefusedError(f"of talk {talk_id}", str(error), status)
