"""From figures to one page that needs nothing else."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from kommo_report import charts
from tap_kommo_chats.durations import format_seconds

if TYPE_CHECKING:
    from kommo_report.figures import Figures

_BUNDLE = "window.draw = vegaEmbed;"


def render(found: Figures) -> str:
    """Make the page."""
    environment = Environment(
        loader=PackageLoader("kommo_report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["in_words"] = format_seconds
    return environment.get_template("page.html").render(
        found=found,
        specs=_as_script(_specs(found)),
        style=_asset("page.css"),
        script=_asset("page.js"),
        vega=_unclosed(vl_convert.javascript_bundle(_BUNDLE)),
    )


def _specs(found: Figures) -> dict[str, Any]:
    specs = {}
    if found.channels:
        specs["channels"] = charts.speeds(found.channels)
    if found.agents:
        specs["agents"] = charts.speeds(found.agents)
    if found.periods:
        specs["fates"] = charts.fates(found.periods)
    if any(period.median_s is not None for period in found.periods):
        specs["medians"] = charts.medians(found.periods)
    return specs


def _as_script(value: object) -> Markup:
    """Write a value where a script is, which a name in it must not end."""
    return Markup(json.dumps(value).replace("<", "\\u003c"))  # noqa: S704 (see above)


def _asset(name: str) -> Markup:
    asset = files("kommo_report") / "templates" / name
    return Markup(asset.read_text(encoding="utf-8"))  # noqa: S704 (the package's own)


def _unclosed(script: str) -> Markup:
    return Markup(script.replace("</script", "<\\/script"))  # noqa: S704 (a library's)
