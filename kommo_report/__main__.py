"""The command ``kommo-report``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from kommo_report.figures import Scope, figures
from kommo_report.page import render
from kommo_report.warehouse import WarehouseError, asking

_DAYS = 90


def main(arguments: list[str] | None = None) -> int:
    """Write the page.

    Args:
        arguments: The command line; the process's own if None.

    Returns:
        The exit code: 1 if the warehouse cannot be asked or the page not be written.
    """
    options = _parser().parse_args(arguments)
    scope = Scope(options.schema or None, options.days, options.account_id)
    try:
        with asking(options.database) as ask:
            found = figures(ask, scope)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(render(found), encoding="utf-8")
    except WarehouseError as error:
        sys.stderr.write(f"kommo-report: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"kommo-report: cannot write --output: {error.strerror}\n")
        return 1
    sys.stdout.write(f"Written to {options.output}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kommo-report",
        description="Who waits, and how fast replies come: one page that needs no "
        "network, from the tables that dbt made.",
    )
    # Meltano hands on settings as variables.
    given = os.environ.get
    parser.add_argument(
        "--database",
        default=given("KOMMO_REPORT_DATABASE", "duckdb:///output/kommo.duckdb"),
        metavar="URL",
        help="SQLAlchemy's URL of the warehouse; also KOMMO_REPORT_DATABASE",
    )
    parser.add_argument(
        "--schema",
        type=_schema,
        default=given("KOMMO_REPORT_SCHEMA", ""),
        help="where the tables are; also KOMMO_REPORT_SCHEMA",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=given("KOMMO_REPORT_OUTPUT", "output/report.html"),
        metavar="FILE",
        help="where to write the page; also KOMMO_REPORT_OUTPUT",
    )
    parser.add_argument(
        "--days",
        type=int,
        default=given("KOMMO_REPORT_DAYS", str(_DAYS)),
        help="how many days up to the last message to look at; also KOMMO_REPORT_DAYS",
    )
    parser.add_argument(
        "--account-id",
        type=int,
        metavar="N",
        help="look at one account only, by Kommo's number",
    )
    return parser


def _schema(text: str) -> str:
    if not re.fullmatch(r"\w*", text):
        msg = "not a name"
        raise argparse.ArgumentTypeError(msg)
    return text


if __name__ == "__main__":
    sys.exit(main())
