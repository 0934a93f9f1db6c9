"""What the command line asks for: a run, or a check whether one would work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from singer_sdk.exceptions import SingerSDKError
from singer_sdk.plugin_base import _ConfigInput

from tap_kommo_chats.check.check import Given, check
from tap_kommo_chats.check.render import rendered
from tap_kommo_chats.errors import StopRequestedError, TapError
from tap_kommo_chats.input_files import read_object
from tap_kommo_chats.tap import TapKommoChats

if TYPE_CHECKING:
    from tap_kommo_chats.check.report import Report

_FILES = ("state", "catalog")
"""Options that name a file."""


def command() -> click.Command:
    """Make the command: the SDK's, with `--check`.

    Raises:
        ValueError: If the log cannot be set up as the environment says.
    """
    made: click.Command = TapKommoChats.cli
    for option in made.params:
        if option.name in _FILES:
            # Of a file that is not there, click tells in four lines of its own.
            option.type = click.STRING
    told = "Tell in a few requests whether a run would work. --format holds for it."
    made.params.append(click.Option(["--check"], is_flag=True, help=told))
    made.callback = _run_or_check
    return made


def _run_or_check(  # noqa: PLR0913 (the options of the command)
    *,
    check: bool,
    about: bool,
    about_format: str | None,
    config: _ConfigInput | None,
    state: str | None,
    catalog: str | None,
) -> None:
    """Run, or check.

    Raises:
        SettingsError: If a file of state or catalog cannot be read.
        SystemExit: After a check; its code is 0 if a run would work.
    """
    if about:
        TapKommoChats.print_about(about_format)
        return
    if not check:
        TapKommoChats.print_version(print_fn=TapKommoChats.logger.info)
    given = config or _ConfigInput()
    tap = TapKommoChats(
        config=given.config,
        state=None if state is None else read_object("--state", state),
        catalog=None if catalog is None else read_object("--catalog", catalog),
        parse_env_config=given.parse_env,
        validate_config=not check,
        setup_mapper=not check,
    )
    if not check:
        tap.sync_all()
        return
    report = checked(tap)
    sys.stdout.write(rendered(report, about_format))
    sys.exit(0 if report.is_fit else 1)


def checked(tap: TapKommoChats) -> Report:
    """Check whether a run of the selected streams would work."""
    problems, notes = tap.judged()
    if not problems:
        try:
            tap.setup_mapper()
        except (SingerSDKError, TapError) as error:
            problems.append(str(error))
    names = (stream.name for stream in tap.streams.values() if stream.selected)
    given = Given(
        tap.config,
        tuple(problems),
        tuple(notes),
        frozenset(names),
        tap.initialized_at,
    )
    try:
        with tap.stop.interruptible():
            return check(given)
    except StopRequestedError:
        sys.exit(128 + (tap.stop.signal_number or 0))
