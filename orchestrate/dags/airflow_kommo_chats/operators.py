"""The tasks."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Connection, Variable
from airflow.sdk.exceptions import AirflowFailException

from airflow_kommo_chats import accounts as of_accounts
from airflow_kommo_chats import handover, keeper, models, targets
from airflow_kommo_chats.jobs import is_searched_once, label
from airflow_kommo_chats.meltano import HeldError, LoadError, Meltano
from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.progress import Progress
from airflow_kommo_chats.states import (
    Move,
    merged,
    plan_moves,
    search_id,
    state_id,
)
from airflow_kommo_chats.words import TAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context

    from airflow_kommo_chats.targets import Target


class MeltanoOperator(BaseOperator):
    """Runs Meltano, and stops all of it when Airflow stops the task.

    This is no `@task` function, because nothing tells one that it is to stop: Airflow
    would kill the function and leave Meltano, tap and target running.
    """

    def __init__(self, *, target: str, **arguments: Any) -> None:  # noqa: ANN401 (Airflow's)
        """Take where the rows go.

        Args:
            target: The loader's name.
            arguments: The operator's.
        """
        super().__init__(**arguments)
        self.target = target

    @property
    def loader(self) -> Target:
        """The loader."""
        return targets.TARGETS[self.target]

    _meltano: Meltano | None = None
    _is_stopped: bool = False

    def on_kill(self) -> None:
        """Stop Meltano: Airflow calls this after a timeout and when it gets SIGTERM."""
        self._is_stopped = True
        if self._meltano is not None:
            self._meltano.stop()

    def meltano(self, whose: str = "") -> Meltano:
        """Make ready to run Meltano.

        Args:
            whose: The account, where the task has several.
        """
        # When the process above this one is killed, this one has nobody left to tell.
        keeper.die_with_parent()
        where = f"{whose}: " if whose else ""
        self._meltano = made = Meltano(lambda line: self.log.info("%s%s", where, line))
        return made

    def to_load(self) -> dict[str, str]:
        """Return the loader's settings as environment variables."""
        return self.loader.variables(Connection.get(targets.CONNECTION))


class PrepareTarget(MeltanoOperator):
    """Installs the plugins, creates Meltano's database and the tables, moves states.

    Tasks that run at once would get into each other's way with each of these.
    """

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's)
        """Hand the tap's schema to the target, with no request to Kommo."""
        with failing_for_good():
            settings = self.to_load()
            # Without settings the tap tells of every stream that there may be.
            catalog = self.meltano().run("invoke", TAP, "--discover", settings=settings)
            schemas = [
                {
                    "type": "SCHEMA",
                    "stream": stream["tap_stream_id"],
                    "schema": stream["schema"],
                    "key_properties": stream["key_properties"],
                }
                for stream in json.loads(catalog)["streams"]
            ]
            given = "".join(f"{json.dumps(schema)}\n" for schema in schemas)
            self.meltano().run("invoke", self.target, settings=settings, given=given)
            self.move_states()

    def move_states(self) -> None:
        """Let the states follow where the number of an account's shards was changed."""
        listed = self.meltano().run("state", "list", settings={})
        known = [line.strip() for line in listed.splitlines() if line.strip()]
        extra = Connection.get(of_accounts.CONNECTION).extra_dejson
        for name, account in accounts().items():
            with suppress(MistakeError):
                is_searched = (
                    self.loader.url is not None
                    and of_accounts.shards_of(account) > 1
                    and is_searched_once(name, account, extra)
                )
                moves = plan_moves(
                    name,
                    of_accounts.shards_of(account),
                    known,
                    handover.READ if is_searched else None,
                )
                for move in moves.to_make:
                    self.make_state(move)
                for stale in moves.to_clear:
                    self.meltano().run("state", "clear", "--force", stale, settings={})

    def make_state(self, move: Move) -> None:
        """Make a state of others."""
        states = [
            json.loads(self.meltano().run("state", "get", source, settings={}))
            for source in move.sources
        ]
        made = merged(move, [state.get("singer_state") or {} for state in states])
        # It may be larger than what a command's argument can be.
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump({"singer_state": made}, file)
            file.flush()
            self.meltano().run(
                *("state", "set", "--force", f"--input-file={file.name}"),
                move.state_id,
                settings={},
            )


class Build(MeltanoOperator):
    """Makes the analysts' tables of what was loaded, with dbt."""

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's)
        """Build the models.

        Raises:
            AirflowFailException: If a model or a test of one failed, which waiting does
                not change. It names them.
            LoadError: If dbt did not get so far.
        """
        dbt = f"dbt-{self.target.removeprefix('target-')}"
        try:
            with failing_for_good():
                output = self.meltano().run(
                    "invoke", f"{dbt}:build", settings=self.to_load()
                )
        except LoadError as error:
            self.tell(error.output)
            if names := models.failed(error.output):
                message = f"dbt could not build {', '.join(names)}"
                raise AirflowFailException(message) from None
            raise
        self.tell(output)

    def tell(self, output: str) -> None:
        """Write what dbt wrote into the task's log."""
        for line in output.splitlines():
            self.log.info("%s", line)


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

    def execute(self, context: Context) -> None:
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
            "requests_per_second": self.requests_per_second,
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
        if self.loader.url is None:
            message = f"{self.target} cannot be asked for what a search found"
            raise MistakeError(message)
        url = self.loader.url(Connection.get(targets.CONNECTION))
        return handover.reading_settings(super().settings(account), url)


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
        return {
            **handover.search_settings(settings),
            "requests_per_second": self.requests_per_second,
        }


@contextmanager
def failing_for_good() -> Iterator[None]:
    """Let what is wrong with settings fail a task at once: no retry changes them.

    Raises:
        AirflowFailException: In place of a `MistakeError`.
    """
    try:
        yield
    except MistakeError as error:
        raise AirflowFailException(str(error)) from None


def accounts() -> dict[str, Any]:
    """Return the Variable `kommo_accounts`.

    Raises:
        MistakeError: If it is no object.
    """
    found = Variable.get(of_accounts.VARIABLE, deserialize_json=True)
    if not isinstance(found, dict):
        message = (
            f"The Variable {of_accounts.VARIABLE} is not an object that has accounts "
            "by their names"
        )
        raise MistakeError(message)
    return found


def said_of(account: str) -> tuple[dict[str, Any], str | None]:
    """Return the settings of an account, and the channel's secret.

    Raises:
        MistakeError: If what is said of it is not as it should be.
    """
    kommo = Connection.get(of_accounts.CONNECTION)
    found = accounts().get(account)
    return (
        of_accounts.settings_of(account, found, kommo.extra_dejson),
        kommo.password,
    )
