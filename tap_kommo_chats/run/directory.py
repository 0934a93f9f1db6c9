"""The account: which it is, who works there, and which ways its leads take."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tap_kommo_chats.errors import CrmRefusedError
from tap_kommo_chats.integers import read_id
from tap_kommo_chats.kommo.crm import CrmApi
from tap_kommo_chats.records.accounts import ACCOUNTS
from tap_kommo_chats.records.pipelines import PIPELINES, read_statuses
from tap_kommo_chats.records.users import USERS
from tap_kommo_chats.sources.account import ask_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.kommo.host import Host
    from tap_kommo_chats.records.accounts import Account
    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.settings.values import CrmSettings, Settings


class Found(NamedTuple):
    """A row that the CRM has.

    Attributes:
        key: Tells it from others of its stream.
        record: Its record, before anything is masked.
        active_ms: When something last happened in it, in milliseconds since 1970; None
            for a row of a stream that has few.
    """

    key: str
    record: Record
    active_ms: int | None = None


def open_directory(host: Host | None, crm: CrmSettings | None) -> Directory | None:
    """Make the directory of an account; None where there is no CRM."""
    if host is None or crm is None:
        return None
    return Directory(host, CrmApi(host, crm.access_token))


class Directory:
    """Reads what an account has few of.

    Attributes:
        host: The one of its CRM.
        crm: Its CRM.
    """

    def __init__(self, host: Host, crm: CrmApi) -> None:
        """Ask nothing yet."""
        self.host = host
        self.crm = crm

    @cached_property
    def account(self) -> Account:
        """The token's account, asked for once.

        Raises:
            RunError: If the CRM cannot be asked.
        """
        return ask_account(self.crm)

    def number_for(self, value: object = None) -> int:
        """Return the account's number, for a row of it.

        Args:
            value: The number that the row itself has, if it has one.

        Raises:
            CrmRefusedError: If neither tells it.
        """
        number = read_id(value) or self.account.number
        if number is None:
            msg = (
                "the CRM does not tell the account's number, which is part of the "
                "key: make the token as an administrator of the account"
            )
            raise CrmRefusedError(msg)
        return number

    def accounts(self) -> Iterator[Found]:
        """Read the account itself."""
        number = self.number_for()
        record = ACCOUNTS.record(self.account.value, account_id=number)
        yield Found(str(number), record)

    def users(self) -> Iterator[Found]:
        """Read the users. One who was removed is not among them any more."""
        for page in self.crm.users():
            for value in page.rows:
                user_id = read_id(value.get("id")) if isinstance(value, dict) else None
                if user_id is not None and isinstance(value, dict):
                    record = USERS.record(
                        value, user_id=user_id, account_id=self.number_for()
                    )
                    yield Found(str(user_id), record)

    def pipelines(self) -> Iterator[Found]:
        """Read the statuses of all pipelines."""
        for pipeline in self.crm.pipelines():
            for pipeline_id, status_id, value in read_statuses(pipeline):
                record = PIPELINES.record(
                    value,
                    account_id=self.number_for(value["pipeline"].get("account_id")),
                    pipeline_id=pipeline_id,
                    status_id=status_id,
                )
                yield Found(f"{pipeline_id}/{status_id}", record)


class Whose:
    """Whose chats a run reads."""

    def __init__(self, settings: Settings, directory: Directory | None) -> None:
        """Ask nothing yet.

        Args:
            settings: Say the scope, or the channel.
            directory: Tells the account; None where there is no CRM.
        """
        self._settings = settings
        self._directory = directory

    @cached_property
    def account_id(self) -> int | None:
        """Kommo's number of the account; None when it is not known."""
        return None if self._directory is None else self._directory.account.number

    @cached_property
    def scope_id(self) -> str | None:
        """The channel in its account; None when no channel of one's own is read."""
        channel_id, directory = self._settings.channel_id, self._directory
        if channel_id is None or directory is None:
            return self._settings.scope_id
        return f"{channel_id}_{directory.account.amojo_id}"

    @cached_property
    def name(self) -> str:
        """The scope; what tells the account, where there is none."""
        if self.scope_id is not None or self._directory is None:
            return self.scope_id or ""
        account = self._directory.account
        return account.amojo_id or str(account.number)
