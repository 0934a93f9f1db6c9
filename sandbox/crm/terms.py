"""On what terms the CRM answers: who may what, and which way of several it takes."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read when terms come as JSON
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sandbox.api import Refusal

if TYPE_CHECKING:
    from sandbox.crm.item import Item

_NO_ADDON = Refusal(402, "Endpoint not available for current account tariff")
_NO_ADMINISTRATOR = Refusal(403, "The users are for administrators to see.")
_NO_RIGHTS = Refusal(403, "The user has no right to this contact.")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is refused, and how it is answered where nobody knows how Kommo does.

    By default nothing is refused, and what is asked for is heeded.

    Attributes:
        refused: What to refuse with what, by path: an endpoint as in ``ENDPOINTS``,
            one object's, or any path above. ``{"/api/v4/leads": Refusal(402, "...")}``.
        addon: Whether the plan has the Chats API add-on. Without it the messages of
            all talks are 402 (documented).
        administrator: Whether the token's user is one. The users are for
            administrators only, for others 403 (documented).
        forbidden_contacts: Contacts the user has no right to. Their talks are not
            listed (documented); asked for one by one, talk and messages are 403. Events
            still tell of them, because nobody knows how far rights go there.
        forbidden_talks: Talks whose messages are 403, and which can be seen otherwise.
        lead_filters: What becomes of filters on leads, which an account of amoCRM may
            lack: they are ``heeded``, ``ignored``, or ``refused`` with 400.
        deleted_leads_listed: Whether deleted leads are among the others. Kommo gives
            them only to ``with=only_deleted``, with three fields.
        message_order: The order of a talk's messages by time: ``mixed``, ``asc`` or
            ``desc``. Kommo's is reported as not chronological.
        message_seed: Decides on the order, if it is mixed.
        message_milliseconds: Give ``sec_created_at`` in milliseconds, as its readers
            take it, and not in seconds, as its name has it.
        message_filter: Whether the filter on the time of messages is heeded.
        whole_chat: Answer with the messages of all talks of a talk's chat, and not
            with those of the talk alone. Nobody knows which of the two Kommo does.
        message_links: Whether a page of messages names the next. If not, that a page
            is short, or 204 after it, is all that tells the end.
    """

    refused: Mapping[str, Refusal] = field(default_factory=dict)
    addon: bool = True
    administrator: bool = True
    forbidden_contacts: frozenset[int] = frozenset()
    forbidden_talks: frozenset[int] = frozenset()
    lead_filters: Literal["heeded", "ignored", "refused"] = "heeded"
    deleted_leads_listed: bool = False
    message_order: Literal["mixed", "asc", "desc"] = "mixed"
    message_seed: int = 0
    message_milliseconds: bool = True
    message_filter: bool = True
    whole_chat: bool = False
    message_links: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A value is none of those there are.
        """
        if self.lead_filters not in ("heeded", "ignored", "refused"):
            message = f"There is no {self.lead_filters!r} for lead_filters."
            raise ValueError(message)
        if self.message_order not in ("mixed", "asc", "desc"):
            message = f"There is no {self.message_order!r} for message_order."
            raise ValueError(message)

    def refusal_of(self, names: frozenset[str]) -> Refusal | None:
        """Return what a request for what has these names is refused with, if it is."""
        # The longest path is the one that means it most.
        named = max(names & self.refused.keys(), key=len, default=None)
        return None if named is None else self.refused[named]

    def without_addon(self) -> Refusal | None:
        """Refuse what only a plan with the add-on has."""
        return None if self.addon else _NO_ADDON

    def without_administrator(self) -> Refusal | None:
        """Refuse what only administrators see."""
        return None if self.administrator else _NO_ADMINISTRATOR

    def hides(self, talk: Item) -> Refusal | None:
        """Refuse a talk of a contact that the user has no right to."""
        hidden = talk["contact_id"] in self.forbidden_contacts
        return _NO_RIGHTS if hidden else None

    def hides_messages(self, talk: Item) -> Refusal | None:
        """Refuse the messages of a talk that the user may not read."""
        forbidden = talk["talk_id"] in self.forbidden_talks
        return _NO_RIGHTS if forbidden else self.hides(talk)


USUAL_TERMS = Terms()
