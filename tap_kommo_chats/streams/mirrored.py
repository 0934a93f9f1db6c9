"""The streams that mirror the CRM: account, users, pipelines, leads and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tap_kommo_chats.records.accounts import ACCOUNTS
from tap_kommo_chats.records.chat_events import EVENTS
from tap_kommo_chats.records.leads import LEADS
from tap_kommo_chats.records.pipelines import PIPELINES
from tap_kommo_chats.records.users import USERS
from tap_kommo_chats.streams.plain import PlainStream, Rows

if TYPE_CHECKING:
    from tap_kommo_chats.records.shape import Shape


class MirroredStream(PlainStream):
    """Rows as the CRM has them, none twice for nothing."""

    needs_crm = True

    def rows(self) -> Rows:
        """Make a record of each row that has to be written."""
        yield from self.open_run().mirrored(self.name, self.record_mask.apply)


class AccountsStream(MirroredStream):
    """The account itself, one record."""

    name = "accounts"
    primary_keys = ("account_id",)
    shape: ClassVar[Shape] = ACCOUNTS.shape


class UsersStream(MirroredStream):
    """The users of the account, one record each."""

    name = "users"
    primary_keys = ("account_id", "user_id")
    shape: ClassVar[Shape] = USERS.shape


class PipelinesStream(MirroredStream):
    """The statuses of the account's pipelines, one record each."""

    name = "pipelines"
    primary_keys = ("account_id", "pipeline_id", "status_id")
    shape: ClassVar[Shape] = PIPELINES.shape


class LeadsStream(MirroredStream):
    """The leads that talks name and those that changed, one record each."""

    name = "leads"
    needs_search = True
    primary_keys = ("account_id", "lead_id")
    replication_key = "updated_at"
    shape: ClassVar[Shape] = LEADS.shape


class ChatEventsStream(MirroredStream):
    """The chat events that the run met, one record each."""

    name = "chat_events"
    needs_search = True
    primary_keys = ("account_id", "event_id")
    replication_key = "happened_at"
    shape: ClassVar[Shape] = EVENTS.shape
