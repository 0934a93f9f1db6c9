"""A report as text, as JSON and as Markdown. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_kommo_chats.check.report import Report, Sighting

_SEEN = {True: "yes", False: "no", None: "not seen"}
_LEVEL_WIDTH = len("not asked") + 2

_FOR_AN_ISSUE = (
    "What nobody could verify without a live account, as this one shows it. Nothing of "
    "the account is in it: please paste it into an issue of the project."
)


def rendered(report: Report, how: str | None) -> str:
    """Write a report.

    Args:
        report: What the check found.
        how: `json` for machines, `markdown` for what is to be pasted into an issue
            alone; None for an operator.
    """
    if how == "json":
        return _as_json(report)
    issue = _as_markdown(report)
    return issue if how == "markdown" else f"{_as_text(report)}\n{issue}"


def _as_text(report: Report) -> str:
    lines = [
        f"{line.level.value:<{_LEVEL_WIDTH}}{line.subject}: {line.text}"
        for line in report.lines
    ]
    verdict = "would end with exit code 0" if report.is_fit else "would not work"
    streams = ", ".join(report.streams) or "no stream"
    asked = f"{report.requests} request(s) were made"
    return "\n".join(
        (
            *lines,
            "",
            f"A run of {streams} {verdict} ({asked}).",
            "",
            _FOR_AN_ISSUE,
            "",
        )
    )


def _as_markdown(report: Report) -> str:
    rows = [
        f"| {_cell(each.point)} | {_SEEN[each.seen]} | {_cell(each.detail)} |"
        for each in report.sightings
    ]
    title = f"tap-kommo-chats {report.version} --check"
    head = (f"| {title} | so here | |", "| --- | --- | --- |")
    return "\n".join((*head, *rows, ""))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _as_json(report: Report) -> str:
    value = {
        "version": report.version,
        "ok": report.is_fit,
        "streams": list(report.streams),
        "requests": report.requests,
        "lines": [
            {"subject": line.subject, "level": line.level.value, "text": line.text}
            for line in report.lines
        ],
        "sightings": [_value(each) for each in report.sightings],
    }
    return json.dumps(value, indent=2) + "\n"


def _value(sighting: Sighting) -> dict[str, object]:
    return {
        "point": sighting.point,
        "seen": sighting.seen,
        "detail": sighting.detail,
    }
