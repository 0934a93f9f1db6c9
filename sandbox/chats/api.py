"""The history endpoint of the Chats API.

The checks run in this order, and the first that fails decides the answer:

1. the path is the history path of the known scope (404), the method GET (405);
2. the request is signed (403): see ``verification``;
3. ``offset`` and ``limit`` are within bounds (400).

Kommo documents the rules and the codes 400 and 403. The codes 404 and 405 and
the order of the checks are inferred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from sandbox.account import AMOJO_ID
from sandbox.api import Answer, Refusal, Subject
from sandbox.chats.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.api import RequestParts
    from sandbox.chats.store import ConversationStore
    from sandbox.faults import Strike

CHANNEL_ID = "6b1f0c52-94ad-4d0e-8a37-5e2c9d7f4410"
SCOPE_ID = f"{CHANNEL_ID}_{AMOJO_ID}"
# Public on purpose: it opens nothing but the sandbox.
CHANNEL_SECRET = "5a4d0b0c" * 5
MAX_OFFSET = 2**31 - 1
MAX_LIMIT = 50

_HISTORY_PATH = re.compile(r"/v2/origin/custom/([^/]+)/chats/([^/]+)/history")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_JSON = "application/json"
_SENDER = {"id": "3d1f6f0a-8a51-4f6e-9a0b-6f7d2c1e5b94", "name": "Sandbox"}


@dataclass(frozen=True)
class PageRequest:
    """A request in order: the page it asks for.

    Attributes:
        conversation_id: The conversation's id, percent-decoded.
        offset: Messages to skip, counted from the newest.
        limit: The most messages to answer with.
    """

    conversation_id: str
    offset: int
    limit: int


@dataclass(eq=False)
class ChatsApi:
    """Serves the conversations of a store. Change its attributes at any time.

    Attributes:
        store: The conversations.
        scope_id: The one scope that exists.
        secret: The channel secret requests have to be signed with.
        empty_list_at_end: Answer an offset past the end with an empty list and not
            with 204. Kommo documents neither.
        before_page: Called before each page is taken from the store, so that a test
            can change the conversation between two pages.
    """

    store: ConversationStore
    scope_id: str = SCOPE_ID
    secret: str = field(default=CHANNEL_SECRET, repr=False)
    empty_list_at_end: bool = False
    before_page: Callable[[PageRequest], None] | None = None

    def serves(self, _path: str, /) -> bool:
        """Take every path that no other API has taken."""
        return True

    def subject(self, target: str, /) -> Subject:
        """Read the conversation and the page that a target names."""
        path, _, query = target.partition("?")
        parameters = parse_qs(query, keep_blank_values=True)
        conversation_id = self._conversation_in(path)
        offset = _integer(parameters.get("offset", []))
        return Subject(
            names=frozenset(() if conversation_id is None else (conversation_id,)),
            page=(conversation_id, offset),
            limit=_integer(parameters.get("limit", [])),
            conversation_id=conversation_id,
            offset=offset,
        )

    def check(self, request: RequestParts, /) -> PageRequest | Refusal:
        """Return the page a request asks for, or why it does not get it."""
        subject = self.subject(request.target)
        if subject.conversation_id is None:
            return Refusal(404, "There is nothing at this path.")
        if request.method != "GET":
            return Refusal(405, "The history is read with GET.")
        refusal = verify(request, self.secret)
        if refusal is not None:
            return refusal
        if subject.offset is None or not 0 <= subject.offset <= MAX_OFFSET:
            return _out_of_bounds("offset", 0, MAX_OFFSET)
        if subject.limit is None or not 1 <= subject.limit <= MAX_LIMIT:
            return _out_of_bounds("limit", 1, MAX_LIMIT)
        return PageRequest(subject.conversation_id, subject.offset, subject.limit)

    def change(self, asked: PageRequest, strike: Strike, /) -> str | None:
        """Let messages of the conversation asked for vanish and appear.

        Returns:
            ``vanish`` or ``appear``, if one of the two happened; of both, the first.
        """
        chat = asked.conversation_id
        vanished = strike.vanishes is not None and self.store.remove_at(
            chat, strike.vanishes
        )
        appeared = False
        if strike.appears is not None:
            text = "This message appeared between two requests."
            message = {"id": strike.appears, "type": "text", "text": text}
            row = {"sender": _SENDER, "message": message}
            appeared = self.store.add_newest(chat, row)
        return "vanish" if vanished else "appear" if appeared else None

    def answer(self, asked: PageRequest, /) -> Answer:
        """Take a page of messages, newest first."""
        if self.before_page is not None:
            self.before_page(asked)
        chat = asked.conversation_id
        rows = self.store.page(chat, asked.offset, asked.limit)
        known_list = self.empty_list_at_end and self.store.size(chat)
        return Answer(200 if rows or known_list else 204, {"messages": rows}, _JSON)

    def error(self, refusal: Refusal, /) -> Answer:
        """Say a refusal with the fields that a client library parses.

        Kommo shows no such body.
        """
        content = {
            "error_code": refusal.status,
            "error_type": HTTPStatus(refusal.status).name,
            "error_description": refusal.description,
        }
        return Answer(refusal.status, content, _JSON)

    def _conversation_in(self, path: str) -> str | None:
        """Return the conversation a path names, percent-decoded, if it names one."""
        match = _HISTORY_PATH.fullmatch(path)
        # Split before decoding: an encoded slash belongs to the id.
        if match is None or unquote(match[1]) != self.scope_id:
            return None
        return unquote(match[2])


def _integer(values: list[str]) -> int | None:
    """Read a parameter given once as plain ASCII digits.

    ``int()`` alone would also take spaces, underscores and foreign digits.
    """
    if len(values) != 1 or not _INTEGER.fullmatch(values[0]):
        return None
    return int(values[0])


def _out_of_bounds(name: str, least: int, most: int) -> Refusal:
    return Refusal(400, f"{name} has to be one integer, {least} to {most}.")
