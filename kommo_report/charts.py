"""The charts of the page, as Vega-Lite has them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from kommo_report.figures import FATES
from tap_kommo_chats.durations import format_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kommo_report.figures import Period, Speed

_ROW = 30
"""Pixels for each name."""

_MOMENTS = [1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400]
_IN_WORDS = (
    "datum.value < 60 ? datum.value + ' s' : "
    "datum.value < 3600 ? datum.value / 60 + ' min' : "
    "datum.value < 86400 ? datum.value / 3600 + ' h' : datum.value / 86400 + ' d'"
)
_COLOURS = ("#3f8f6b", "#e0a33a", "#8c8fa3", "#c2556a", "#5b7fd1")
"""Of the fates, in their order; to be told apart on light and on dark."""


def speeds(found: Sequence[Speed]) -> dict[str, Any]:
    """Draw for each name the median, and a line from there to the 90th percentile."""
    rows = [
        {
            "name": each.name,
            "median": max(1, each.median_s),
            "p90": max(1, each.p90_s),
            "median in words": format_seconds(each.median_s),
            "nine of ten within": format_seconds(each.p90_s),
            "waits": each.waits,
            "within target": each.share,
        }
        for each in found
    ]
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("name:N", title=None, sort=None),
        tooltip=[
            *("name:N", "waits:Q", "median in words:N", "nine of ten within:N"),
            alt.Tooltip("within target:Q", format=".0%"),
        ],
    )
    moment = alt.X("median:Q", title=None, scale=alt.Scale(type="log"), axis=_axis())
    return _spec(
        alt.layer(
            base.mark_rule(strokeWidth=3, opacity=0.45, color=_COLOURS[0]).encode(
                x=moment, x2="p90:Q"
            ),
            base.mark_point(filled=True, size=110, color=_COLOURS[0], opacity=1).encode(
                x=moment
            ),
            base.mark_text(dy=-11, fontSize=11).encode(
                x=moment, text="median in words:N"
            ),
        ),
        _ROW * len(rows) + 10,
    )


def fates(periods: Sequence[Period]) -> dict[str, Any]:
    """Draw how many waits began in each period, by what became of them."""
    rows = [
        {
            "period": each.name,
            "fate": fate,
            "waits": count,
            "order": place,
        }
        for each in periods
        for place, fate in enumerate(FATES)
        # One without any keeps its place.
        if (count := each.fates.get(fate, 0)) or not each.fates
    ]
    return _spec(
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=_period(),
            y=alt.Y("waits:Q", title="waits"),
            color=alt.Color(
                "fate:N",
                title=None,
                scale=alt.Scale(domain=list(FATES), range=list(_COLOURS)),
                legend=alt.Legend(orient="top", columns=3),
            ),
            order="order:Q",
            tooltip=["period:N", "fate:N", "waits:Q"],
        ),
        240,
    )


def medians(periods: Sequence[Period]) -> dict[str, Any]:
    """Draw the median of each period's answered waits."""
    rows = [
        {
            "period": each.name,
            "median": None if each.median_s is None else max(1, each.median_s),
            "in words": "" if each.median_s is None else format_seconds(each.median_s),
        }
        for each in periods
    ]
    return _spec(
        alt.Chart(_data(rows))
        .mark_line(point={"color": _COLOURS[0]}, color=_COLOURS[0])
        .encode(
            x=_period(),
            y=alt.Y("median:Q", title=None, scale=alt.Scale(type="log"), axis=_axis()),
            tooltip=["period:N", "in words:N"],
        ),
        240,
    )


def _data(rows: list[dict[str, Any]]) -> alt.SchemaBase:
    return alt.Data.from_dict({"values": rows})


def _axis() -> alt.Axis:
    return alt.Axis(values=_MOMENTS, labelExpr=_IN_WORDS)


def _period() -> alt.X:
    axis = alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=8, grid=False)
    return alt.X("period:O", title=None, sort=None, axis=axis)


def _spec(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int
) -> dict[str, Any]:
    spec: dict[str, Any] = chart.properties(width="container", height=height).to_dict()
    # The page has one for light and one for dark.
    spec.pop("config", None)
    return spec
