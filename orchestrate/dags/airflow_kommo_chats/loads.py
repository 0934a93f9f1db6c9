"""The tasks that load: whole accounts, a shard of one, or what a search finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException

from airflow_kommo_chats import accounts as of_accounts
from airflow_kommo_chats import handover, targets
from airflow_kommo_chats.given import said_of
from airflow_kommo_chats.jobs import label, shards_in
from airflow_kommo_chats.meltano import HeldError, LoadError
from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.operators import MeltanoOperator
from airflow_kommo_chats.progress import Progress
from airflow_kommo_chats.states import search_id, state_id
from airflow_kommo_chats.words import TAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class Load(MeltanoOperator):
    """Loads accounts one after the other, or one shard of one."""

    # Shown with the task, which therefore gets names and no settings.
    template_fields = ("accounts", "shard")

    def __init__(
        self,
        *,
        accounts: Sequence[str],
        shard: str,
        **arguments: Any,  # noqa: ANN401 (Airflow's)
    ) -> None:
        """Take what to load.

        Args:
            accounts: Names in the Variable `kommo_accounts`.
            shard: The tap's setting: "2/8" is the second of eight.
            arguments: The operator's.
        """
        super().__init__(**arguments)
        self.accounts = list(accounts)
        self.shard = shard

    @property
    def label(self) -> str:
        """What Airflow calls this task of many."""
        return label(self.accounts, self.shard)

    def work(self, context: Context) -> None:
        """Load what is new.

        Raises:
            AirflowFailException: If an account's settings cannot be used.
            LoadError: If another try may load it.
        """
        progress = Progress.of(context)
        for name in progress.left(self.accounts):
            try:
                self.load(name, is_retry=progress.is_retry)
            except (MistakeError, HeldError) as error:
                progress.refused(name, str(error))
            except LoadError as error:
                progress.failed(name, str(error))
            else:
                progress.done(name)
            if name in progress.bad:
                self.log.error("%s: %s", name, progress.bad[name])
            if self._is_stopped:
                break
        if progress.bad:
            kind = LoadError if progress.may_pass else AirflowFailException
            raise kind(progress.told(self.accounts))

    def load(self, account: str, *, is_retry: bool) -> None:
        """Load one account.

        Raises:
            LoadError: If that fails.
            MistakeError: If settings are to blame.
        """
        settings = self.settings(account)
        is_alone = len(self.accounts) == 1
        meltano = self.meltano("" if is_alone else account)
        command = (
            "el",
            # `meltano run` keeps its files in one folder for each plugin, so that two
            # runs break each other. `meltano el` keeps them, like the state, by id.
            f"--state-id={self.state_id(account)}",
            "--no-install",
            *(("--force",) if is_retry else ()),
            *(TAP, self.target),
        )
        meltano.run_in_turn(
            *command,
            settings={**of_accounts.variables(settings), **self.to_load()},
        )

    def state_id(self, account: str) -> str:
        """Name the state that belongs to this task."""
        return state_id(account, self.shard)

    def settings(self, account: str) -> dict[str, Any]:
        """Return the tap's settings.

        Raises:
            MistakeError: If what is said of the account is not as it should be.
        """
        settings, secret = said_of(account)
        return {
            **of_accounts.with_secret(settings, secret),
            # The tap takes from it the part of one shard, whose pace this is.
            "requests_per_second": self.requests_per_second * shards_in(self.shard),
            "shard": self.shard,
        }

    @property
    def requests_per_second(self) -> int:
        """How many requests this task may make: one for each slot that it takes."""
        return of_accounts.REQUESTS_PER_SECOND * self.pool_slots


class Read(Load):
    """Reads one shard of an account, whose CRM a `Search` has searched."""

    def settings(self, account: str) -> dict[str, Any]:
        """Return the tap's settings, with what the search found as the list."""
        settings = super().settings(account)
        if self.found_talks:
            kept_in = handover.file_of(self.found_talks, account)
            return handover.file_settings(settings, kept_in)
        if self.loader.url is None:
            message = f"{self.target} cannot be asked for what a search found"
            raise MistakeError(message)
        url = self.loader.url(Connection.get(targets.CONNECTION))
        return handover.asking_settings(settings, url)


class Search(Load):
    """Searches the CRM of one account, once for all of its shards."""

    @property
    def label(self) -> str:
        """What Airflow calls this task of many."""
        return f"{self.accounts[0]} search"

    def state_id(self, account: str) -> str:
        """Name the state that belongs to this task."""
        return search_id(account)

    def settings(self, account: str) -> dict[str, Any]:
        """Return the settings of the search alone."""
        settings, _ = said_of(account)
        kept_in = self.found_talks and handover.file_of(self.found_talks, account)
        return {
            **handover.search_settings(settings, kept_in),
            "requests_per_second": self.requests_per_second,
        }
