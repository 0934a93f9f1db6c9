"""Load the chats of a local stand-in for Kommo into DuckDB and show them.

``make demo`` runs this. It starts the sandbox, lets Meltano carry its messages into
``output/demo.duckdb`` and prints what has arrived there. Meltano's own words go to
``output/demo.log``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
DATABASE = ROOT / "output" / "demo.duckdb"
LOG = ROOT / "output" / "demo.log"
STOPPING_SECONDS = 10
LINES_OF_LOG = 40

COUNTS = """
    SELECT
        count(DISTINCT conversation_id) AS conversations,
        count(*) AS messages,
        count(*) FILTER (direction = 'incoming') AS incoming,
        count(*) FILTER (direction = 'outgoing') AS outgoing
    FROM chat_history
"""
TYPES = """
    SELECT message ->> '$.type' AS type, count(*) AS messages
    FROM chat_history
    GROUP BY type
    ORDER BY messages DESC, type
"""
LATEST = r"""
    SELECT
        strftime(sent_at, '%Y-%m-%d %H:%M:%S') AS sent_at,
        direction,
        coalesce(sender ->> '$.name', '') AS sender,
        left(
            regexp_replace(
                coalesce(
                    nullif(message ->> '$.text', ''),
                    '(' || (message ->> '$.type') || ')'
                ),
                '\s+', ' ', 'g'
            ),
            50
        ) AS text
    FROM (SELECT * FROM chat_history ORDER BY sent_at DESC, message_id LIMIT 8)
    ORDER BY sent_at, message_id
"""


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
        with LOG.open("w", encoding="utf-8") as log, sandbox(log) as settings:
            load(settings, log)
        show()
    except StepError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    return 0


@contextmanager
def sandbox(log: IO[str]) -> Iterator[dict[str, str]]:
    """Run the sandbox for as long as the block lasts.

    Args:
        log: Where its error output goes.

    Yields:
        The settings it announced: the environment a tap needs to read it.

    Raises:
        StepError: If it ends before it is ready.
    """
    print("Starting the sandbox, a local stand-in for Kommo's Chats API ...")
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0"],
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


def load(settings: dict[str, str], log: IO[str]) -> None:
    """Carry the sandbox's messages into DuckDB.

    Args:
        settings: The tap's settings, as environment variables.
        log: Where Meltano's output goes.

    Raises:
        StepError: If Meltano reports a failure.
    """
    print("Loading with Meltano, which installs tap and loader the first time ...")
    command = [
        str(Path(sys.executable).with_name("meltano")),
        "--log-format=uncolored",
        # .env may name a real account, beside which the sandbox would be read.
        f"--env-file={os.devnull}",
        "run",
        # Bookmarks of their own, so that the demo and real runs do not mix.
        "--state-id-suffix=demo",
    ]
    if not DATABASE.exists():
        # Bookmarks that outlived the file would skip what it no longer has.
        command.append("--full-refresh")
    code = subprocess.call(
        [*command, "tap-kommo-chats", "target-duckdb"],
        cwd=ROOT,
        env={
            # The sandbox is what is shown, whatever the shell points Meltano at.
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("TAP_", "TARGET_", "MELTANO_"))
            },
            "MELTANO_PROJECT_ROOT": str(ROOT),
            "MELTANO_ENVIRONMENT": "dev",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
            "TARGET_DUCKDB_FILEPATH": str(DATABASE),
            # The sandbox has no limit.
            "TAP_KOMMO_CHATS_REQUESTS_PER_SECOND": "0",
            **settings,
        },
        stdout=log,
        stderr=subprocess.STDOUT,
        # Meltano hands secrets on in files.
        umask=0o077,
    )
    if code:
        message = f"meltano run ended with exit code {code}."
        raise StepError(with_log(message))


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
    try:
        with duckdb.connect(str(DATABASE), read_only=True) as connection:
            tables = [table(connection, query) for query in (COUNTS, TYPES, LATEST)]
    except duckdb.Error as error:
        message = f"{DATABASE.relative_to(ROOT)} cannot be read: {error}"
        raise StepError(message) from error
    counts, types, latest = tables
    if len(latest) == 1:
        message = f"no message arrived in {DATABASE.relative_to(ROOT)}."
        raise StepError(message)
    for title, rows in (
        (f"{DATABASE.relative_to(ROOT)}, table chat_history", counts),
        ("By type", types),
        ("The latest", latest),
    ):
        print(f"\n{title}")
        print_table(rows)


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
