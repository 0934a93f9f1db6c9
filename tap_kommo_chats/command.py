"""What the command line asks for: a run, or a check whether one would work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from singer_sdk.exceptions import SingerSDKError
from singer_sdk.helpers._util import load_json
from singer_sdk.plugin_base import _ConfigInput

from tap_kommo_chats.check.check import Given, check
from tap_kommo_chats.check.render import rendered
from tap_kommo_chats.errors import StopRequestedError, TapError
from tap_kommo_chats.input_files import json_object
from tap_kommo_chats.tap import TapKommoChats

if TYPE_CHECKING:
    from typing import IO

    from tap_kommo_chats.check.report import Report


def command() -> click.Command:
    """Make the command: the SDK's, with `--check`.

    Raises:
        ValueError: If the log cannot be set up as the environment says.
    """
    made: click.Command = TapKommoChats.cli
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
    state: IO[str] | None,
    catalog: IO[str] | None,
) -> None:
    """Run, or check.

    Raises:
        SettingsError: If a file of state or catalog cannot be read.
        SystemExit: After a check; its code is 0 if a run would work.
    """
    if check and not about:
        given = config or _ConfigInput()
        tap = TapKommoChats(
            config=given.config,
            state=_object("--state", state),
            catalog=_object("--catalog", catalog),
            parse_env_config=given.parse_env,
            validate_config=False,
            setup_mapper=False,
        )
        report = checked(tap)
        sys.stdout.write(rendered(report, about_format))
        sys.exit(0 if report.is_fit else 1)
    TapKommoChats.invoke(
        about=about,
        about_format=about_format,
        config=config,
        state=json_object("--state", state),
        catalog=json_object("--catalog", catalog),
    )


def _object(option: str, file: IO[str] | None) -> dict[str, Any] | None:
    """Read a file that the command line names; see `json_object`."""
    found = json_object(option, file)
    return None if found is None else load_json(found.read())


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
