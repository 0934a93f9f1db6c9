"""What a report says of a run, and how it is written."""

from __future__ import annotations

import pytest

from tap_kommo_chats.check.render import rendered
from tap_kommo_chats.check.report import Level, Line, Report, Sighting


def report_of(*levels: Level, detail: str = "") -> Report:
    lines = tuple(Line("x", level, f"is {level.value}") for level in levels)
    return Report("1.0", ("talks",), 3, lines, (Sighting("It is so", None, detail),))


@pytest.mark.parametrize(
    ("level", "is_fit"),
    [
        (Level.OK, True),
        (Level.WARNING, True),
        (Level.FAILED, False),
        (Level.NOT_ASKED, False),
    ],
)
def test_a_run_is_fit_when_nothing_failed_and_all_was_asked(
    level: Level, *, is_fit: bool
) -> None:
    assert report_of(Level.OK, level).is_fit is is_fit


def test_no_text_breaks_out_of_its_line_or_its_cell() -> None:
    report = report_of(Level.OK, detail="a | b\nc").shown_by(lambda text: text)

    assert rendered(report, "markdown").splitlines()[-1] == (
        "| It is so | not seen | a \\| b\\nc |"
    )
    assert "a | b\nc" not in rendered(report, None)


def test_what_is_secret_is_taken_out_of_every_text() -> None:
    shown = report_of(Level.FAILED, detail="failed").shown_by(
        lambda text: text.replace("failed", "...")
    )

    assert [line.text for line in shown.lines] == ["is ..."]
    assert shown.sightings[0].detail == "..."
