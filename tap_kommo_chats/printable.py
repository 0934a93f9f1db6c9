"""Text that others wrote, made fit to stand in a line that an operator reads.

A server, a list or a broken state may have anything in its texts: line ends, which
would forge a line of the log, escape sequences that a terminal obeys, marks that turn
text around, and characters of no width. Each of these is shown as the escape that
Python writes for it.
"""

from __future__ import annotations

import re

_CUT = "..."

_UNSEEN = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
    r"\U000e0100-\U000e01ef]"
)
"""What has no width although Python takes it for printable."""


def is_printable(text: str) -> bool:
    """Tell whether each character of a text shows, and shows in its place."""
    return text.isprintable() and not _UNSEEN.search(text)


def escaped(text: str) -> str:
    r"""Show what does not print as an escape, such as `\n`, `\x1b` or `\u202e`.

    A text that was escaped stays as it is.
    """
    if is_printable(text):
        return text
    return "".join(
        char if is_printable(char) else char.encode("unicode_escape").decode()
        for char in text
    )


def printable(text: str, at_most: int) -> str:
    """Make a text fit for a line.

    Args:
        text: What somebody else wrote.
        at_most: How many characters of it matter. What was cut ends in three points.

    Returns:
        One line of at most so many characters, all of which show.
    """
    # The rest is not even looked at.
    shown = escaped(text[: at_most + 1])
    return shown if len(shown) <= at_most else shown[: at_most - len(_CUT)] + _CUT
