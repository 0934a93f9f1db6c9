"""What lets a run in: settings, token, clock, and one account for both APIs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.check.report import Level, Line
from tap_kommo_chats.errors import RunError
from tap_kommo_chats.kommo.history import VALID_FOR
from tap_kommo_chats.kommo.token import (
    MESSAGES_SCOPE,
    RENEW,
    note_of_end,
    read_claims,
)
from tap_kommo_chats.printable import printable
from tap_kommo_chats.sources.account import check_account
from tap_kommo_chats.state.layout import TALK_MESSAGES
from tap_kommo_chats.times import SECOND_MS, format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.records.accounts import Account
    from tap_kommo_chats.settings.values import Settings

_TOKEN = "crm_access_token"  # noqa: S105 (the setting's name)

_EXACT_S = 60
_SCOPES_AT_MOST = 20
_SCOPE_AT_MOST = 60
"""Characters of a scope that are shown."""


def settings_lines(problems: Iterable[str], notes: Iterable[str]) -> list[Line]:
    """Say which settings cannot be used, or are worth a second look."""
    lines = [Line("settings", Level.FAILED, problem) for problem in problems]
    lines += [Line("settings", Level.WARNING, note) for note in notes]
    return lines or [Line("settings", Level.OK, "can be used")]


def clock_line(ahead_s: Iterable[float | None], *, signs: bool) -> Line | None:
    """Hold this machine's clock against those of the servers.

    Args:
        ahead_s: By how many seconds it is ahead of a server's, for each answer; None
            where one did not tell.
        signs: Whether requests are signed, which is valid for a while only.

    Returns:
        A line; None when nobody told.
    """
    told = [seconds for seconds in ahead_s if seconds is not None]
    if not told:
        return None
    # The server's has no parts of a second, and an answer takes its time.
    off = max(told, key=abs)
    if abs(off) <= _EXACT_S:
        return Line("clock", Level.OK, "is that of the server")
    way = "ahead of" if off > 0 else "behind"
    found = f"is {round(abs(off) / 60)} minutes {way} the server's: set it"
    if not signs:
        return Line("clock", Level.WARNING, found)
    level = Level.FAILED if abs(off) > VALID_FOR.total_seconds() else Level.WARNING
    return Line("clock", level, f"{found}, because a signature is valid for 15 minutes")


def token_lines(
    token: str, now_ms: int, streams: frozenset[str], *, messages_came: bool
) -> Iterator[Line]:
    """Say what a token tells of its end and of its scopes.

    Args:
        token: The token.
        now_ms: The current time, in milliseconds since 1970.
        streams: The streams that a run would read.
        messages_came: Whether it did open the messages of a talk, whatever it tells.
    """
    claims = read_claims(token)
    if claims is None:
        text = (
            "does not tell when it ends, as a long-lived token does: if a run is "
            f"refused, {RENEW}"
        )
        yield Line(_TOKEN, Level.WARNING, text)
        return
    if claims.ends_ms is None:
        yield Line(_TOKEN, Level.OK, "tells no end")
    elif note := note_of_end(token, now_ms):
        level = Level.FAILED if claims.ends_ms <= now_ms else Level.WARNING
        yield Line(_TOKEN, level, note.removeprefix(f"{_TOKEN} "))
    else:
        end = format_instant(claims.ends_ms // SECOND_MS * SECOND_MS)
        yield Line(_TOKEN, Level.OK, f"is good until {end[: len('2026-01-31')]}")
    if claims.scopes is not None:
        yield _scopes_line(claims.scopes, streams, messages_came=messages_came)


def _scopes_line(
    scopes: frozenset[str], streams: frozenset[str], *, messages_came: bool
) -> Line:
    shown = [printable(scope, _SCOPE_AT_MOST) for scope in sorted(scopes)]
    told = f"{', '.join(shown[:_SCOPES_AT_MOST]) or 'none'}"
    if TALK_MESSAGES not in streams or MESSAGES_SCOPE in scopes:
        return Line("scopes", Level.OK, told)
    if messages_came:
        text = f"{told}; messages of talks came all the same"
        return Line("scopes", Level.WARNING, text)
    text = (
        f'{told}; "External chat history" ({MESSAGES_SCOPE}) is missing: tick it in '
        "the integration, then make a new token, because one keeps the scopes it was "
        "made with; or leave native_channels out"
    )
    return Line("scopes", Level.FAILED, text)


def scope_line(account: Account, settings: Settings) -> Line:
    """Compare the account of the token with the one of the channel.

    Args:
        account: The token's.
        settings: Say the scope, or the channel.
    """
    subject = "scope_id" if settings.channel_id is None else "channel_id"
    try:
        check_account(account, settings)
    except RunError as error:
        return Line(subject, Level.FAILED, str(error))
    if account.amojo_id is None:
        text = "cannot be compared with the account, which does not tell its amojo_id"
        return Line(subject, Level.WARNING, text)
    return Line(subject, Level.OK, "is of the account of crm_access_token")
