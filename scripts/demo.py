"""Load the chats of a local stand-in for Kommo into DuckDB and show them.

``make demo`` runs this. It starts the sandbox, lets Meltano carry its messages into
``output/demo.duckdb``, has dbt make the tables of analysts there, prints what they say
and writes ``output/report.html``. Meltano's own words go to ``output/demo.log``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import date, datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import duckdb
from demo_queries import CHAPTERS, FIRST_RUN, LAST_RUN, STREAMS

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
DATABASE = ROOT / "output" / "demo.duckdb"
LOG = ROOT / "output" / "demo.log"
REPORT = ROOT / "output" / "report.html"
DAYS = 1000
"""The invented chats go back so far."""

STOPPING_SECONDS = 10
_OTHERS = ("TAP_", "TARGET_", "MELTANO_", "DBT_", "KOMMO_REPORT_")
"""How the variables begin that would point Meltano elsewhere."""

LINES_OF_LOG = 40


class StepError(Exception):
    """A step failed. The text is the one line the user reads."""


def main() -> int:
    """Run the demo.

    Returns:
        The exit code: 0 if every step worked.
    """
    # Chats hold characters that not every terminal can show.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        # The loader creates its file, but not the folder.
        LOG.parent.mkdir(exist_ok=True)
        began = loaded_since()
        today = datetime.now(timezone.utc).date()
        with (
            LOG.open("w", encoding="utf-8") as log,
            # Its chats end on the day of the first demo, so that somebody waits.
            sandbox(log, began or today) as settings,
        ):
            load(settings, log, is_whole=began is not None)
        show()
    except StepError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or ROOT
        print(f"demo: {where} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    return 0


@contextmanager
def sandbox(log: IO[str], until: date) -> Iterator[dict[str, str]]:
    """Run the sandbox for as long as the block lasts.

    Args:
        log: Where its error output goes.
        until: The day on which its chats end.

    Yields:
        The settings it announced: the environment a tap needs to read it.

    Raises:
        StepError: If it ends before it is ready.
    """
    print("Starting the sandbox, a local stand-in for Kommo's Chats API and CRM ...")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "sandbox", "--crm", "--port", "0"),
            f"--until={until}",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
    )
    try:
        yield announced(process.stdout)
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def announced(lines: IO[str] | None) -> dict[str, str]:
    """Read the sandbox's output up to the line that says it is ready.

    Args:
        lines: The output. Reading it waits, and ends if the sandbox does.

    Returns:
        What it announced.

    Raises:
        StepError: If the output ends first.
    """
    settings: dict[str, str] = {}
    for line in lines or ():
        if line.strip() == "ready":
            return settings
        key, _, value = line.rstrip("\n").partition("=")
        settings[key] = value
    message = "the sandbox did not start."
    raise StepError(with_log(message))


def loaded_since() -> date | None:
    """Tell on which day the database that is there was first loaded.

    Returns:
        The day in UTC; None where no run has come to its end with it.

    Raises:
        StepError: If the database cannot be used.
    """
    if not DATABASE.exists():
        return None
    name = DATABASE.relative_to(ROOT)
    if is_in_use(DATABASE):
        message = f"{name} is open in another program: close it there, and try again."
        raise StepError(message)
    try:
        with duckdb.connect(str(DATABASE), read_only=True) as connection:
            # The run is written last.
            if ("runs",) not in connection.execute(STREAMS).fetchall():
                return None
            ((began,),) = connection.execute(FIRST_RUN).fetchall()
    except duckdb.Error:
        message = (
            f"{name} is no database that DuckDB can open: move it elsewhere, or remove "
            "it, and try again."
        )
        raise StepError(message) from None
    return None if began is None else began.date()


def is_in_use(path: Path) -> bool:
    """Tell whether another process has a database open, by the lock that DuckDB takes.

    Args:
        path: The database.
    """
    if sys.platform == "win32":
        return False
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def load(settings: dict[str, str], log: IO[str], *, is_whole: bool) -> None:
    """Carry what the sandbox has into DuckDB, and make tables and a page of it.

    Args:
        settings: The tap's settings, as environment variables.
        log: Where Meltano's output goes.
        is_whole: Whether the database has all that earlier runs read.

    Raises:
        StepError: If Meltano reports a failure.
    """
    print("Loading with Meltano, which installs what it needs the first time ...")
    command = [
        str(Path(sys.executable).with_name("meltano")),
        "--log-format=uncolored",
        # .env may name a real account, beside which the sandbox would be read.
        f"--env-file={os.devnull}",
        "run",
        # Bookmarks of their own, so that the demo and real runs do not mix.
        "--state-id-suffix=demo",
        # A demo that was killed counts as running for some minutes.
        "--force",
    ]
    if not is_whole:
        # Bookmarks that outlived the file would skip what it does not have.
        command.append("--full-refresh")
    code = subprocess.call(
        [
            *(*command, "tap-kommo-chats", "target-duckdb"),
            *("dbt-duckdb:build", "kommo-report:page"),
        ],
        cwd=ROOT,
        env=environment(settings),
        stdout=log,
        stderr=subprocess.STDOUT,
        # Meltano hands secrets on in files.
        umask=0o077,
    )
    if code:
        message = f"meltano run ended with exit code {code}."
        raise StepError(with_log(message))


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Make the environment of Meltano.

    Args:
        settings: The tap's settings, as environment variables.

    Returns:
        The variables.
    """
    return {
        # The sandbox is what is shown, whatever the shell points Meltano at.
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OTHERS)
        },
        "MELTANO_PROJECT_ROOT": str(ROOT),
        "MELTANO_ENVIRONMENT": "dev",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
        # Its log would go into the home folder, which need not be there.
        "XDG_CACHE_HOME": str(ROOT / ".meltano"),
        "XDG_STATE_HOME": str(ROOT / ".meltano"),
        "TARGET_DUCKDB_FILEPATH": str(DATABASE),
        "KOMMO_REPORT_DATABASE": f"duckdb:///{DATABASE}",
        "KOMMO_REPORT_OUTPUT": str(REPORT),
        "KOMMO_REPORT_DAYS": str(DAYS),
        # The sandbox has no limit.
        "TAP_KOMMO_CHATS_REQUESTS_PER_SECOND": "0",
        **settings,
    }


def with_log(message: str) -> str:
    """Print the end of the log, so that the reason can be seen.

    Args:
        message: What went wrong.

    Returns:
        The message, and where to read on.
    """
    lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
    print(*lines[-LINES_OF_LOG:], sep="\n", file=sys.stderr)
    return f"{message} All of it is in {LOG.relative_to(ROOT)}"


def show() -> None:
    """Print what is in the database.

    Raises:
        StepError: If it cannot be read or holds no message.
    """
    name = DATABASE.relative_to(ROOT)
    try:
        with duckdb.connect(str(DATABASE), read_only=True) as connection:
            names = [name for (name,) in connection.execute(STREAMS).fetchall()]
            sizes = [size_of(connection, name) for name in names]
            chapters = [(title, table(connection, query)) for title, query in CHAPTERS]
            messages, requests = connection.execute(LAST_RUN).fetchall()[0]
    except (duckdb.Error, IndexError) as error:
        message = f"{name} cannot be read: {error}"
        raise StepError(message) from error
    for title, rows in (
        (f"{name}, rows by table", [["table", "rows"], *sizes]),
        *chapters,
    ):
        print(f"\n{title}")
        print_table(rows)
    print(f"\nAll of it as a page, with charts: {REPORT.relative_to(ROOT)}")
    if messages:
        print(f"\nThis run brought {messages:,} messages in {requests:,} requests.")
        print("Run it again: it brings what is new since.")
    else:
        print(f"\nNothing was new: this run made {requests:,} requests to find out.")


def size_of(connection: duckdb.DuckDBPyConnection, name: str) -> Sequence[Any]:
    """Count the rows of a table.

    Args:
        connection: The database.
        name: The table.

    Returns:
        The table's name, and how many rows it has.
    """
    query = f'SELECT count(*) FROM "{name}"'  # noqa: S608 (the database names it)
    ((rows,),) = connection.execute(query).fetchall()
    return [name, rows]


def table(connection: duckdb.DuckDBPyConnection, query: str) -> list[Sequence[Any]]:
    """Run a query.

    Args:
        connection: The database.
        query: What to ask.

    Returns:
        The names of the columns, then the rows.
    """
    result = connection.execute(query)
    return [[column[0] for column in result.description], *result.fetchall()]


def print_table(rows: list[Sequence[Any]]) -> None:
    """Print rows under each other, numbers to the right.

    Args:
        rows: The heading, then the rows.
    """
    widths = [
        max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)
    ]
    for row in rows:
        cells = [
            # A column is aligned like its first value, its heading included.
            f"{cell!s:{'>' if isinstance(model, int) else '<'}{width}}"
            for cell, model, width in zip(row, rows[1], widths, strict=True)
        ]
        print("  " + "  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
