"""Durations in words."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def format_seconds(seconds: float) -> str:
    """Write a duration with its two largest units.

    Returns:
        Such as `7 s`, `2 min 5 s`, `3 h 20 min`, `1 d 4 h`.
    """
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
