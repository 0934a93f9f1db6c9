"""The tasks before and after all loads, and what every task does with Meltano."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Connection
from airflow.sdk.exceptions import AirflowFailException

from airflow_kommo_chats import accounts as of_accounts
from airflow_kommo_chats import handover, keeper, models, targets
from airflow_kommo_chats.given import accounts
from airflow_kommo_chats.jobs import is_searched_once
from airflow_kommo_chats.meltano import LoadError, Meltano
from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.states import Move, merged, plan_moves
from airflow_kommo_chats.words import TAP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from airflow_kommo_chats.targets import Target


class MeltanoOperator(BaseOperator):
    """Runs Meltano, and stops all of it when Airflow stops the task.

    This is no `@task` function, because nothing tells one that it is to stop: Airflow
    would kill the function and leave Meltano, tap and target running.
    """

    def __init__(
        self,
        *,
        target: str,
        found_talks: str | None = None,
        **arguments: Any,  # noqa: ANN401 (Airflow's)
    ) -> None:
        """Take where the rows go.

        Args:
            target: The loader's name.
            found_talks: Where searches keep what they find; None for nowhere but in
                the warehouse.
            arguments: The operator's.
        """
        super().__init__(**arguments)
        self.target = target
        self.found_talks = found_talks

    @property
    def loader(self) -> Target:
        """The loader."""
        return targets.TARGETS[self.target]

    _meltano: Meltano | None = None
    _is_stopped: bool = False

    def execute(self, context: Context) -> None:
        """Do the task's work, and leave nothing of it behind."""
        # When the process above this one is killed, this one has nobody left to tell.
        keeper.die_with_parent()
        try:
            self.work(context)
        finally:
            if self._meltano is not None:
                self._meltano.close()

    def work(self, context: Context) -> None:
        """Do the task's work."""
        raise NotImplementedError

    def on_kill(self) -> None:
        """Stop Meltano: Airflow calls this after a timeout and when it gets SIGTERM."""
        self._is_stopped = True
        if self._meltano is not None:
            self._meltano.stop()

    def meltano(self, whose: str = "") -> Meltano:
        """Return the task's Meltano.

        Args:
            whose: The account, where the task has several.
        """
        where = f"{whose}: " if whose else ""

        def tell(line: str) -> None:
            self.log.info("%s%s", where, line)

        if self._meltano is None:
            self._meltano = Meltano(tell)
        self._meltano.tell = tell
        return self._meltano

    def to_load(self) -> dict[str, str]:
        """Return the loader's settings as environment variables."""
        return self.loader.variables(Connection.get(targets.CONNECTION))


class PrepareTarget(MeltanoOperator):
    """Installs the plugins, creates Meltano's database and the tables, moves states.

    Tasks that run at once would get into each other's way with each of these.
    """

    def work(self, context: Context) -> None:  # noqa: ARG002 (Airflow's)
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
        way = handover.way(
            can_be_asked=self.loader.url is not None, found_talks=self.found_talks
        )
        for name, account in accounts().items():
            with suppress(MistakeError):
                shards = of_accounts.shards_of(account)
                is_searched = shards > 1 and is_searched_once(name, account, extra, way)
                moves = plan_moves(
                    name, shards, known, handover.READ if is_searched else None
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

    def work(self, context: Context) -> None:  # noqa: ARG002 (Airflow's)
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
            raise LoadError(models.stopped(error.output) or str(error)) from None
        self.tell(output)

    def tell(self, output: str) -> None:
        """Write what dbt wrote into the task's log."""
        for line in output.splitlines():
            self.log.info("%s", line)


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
