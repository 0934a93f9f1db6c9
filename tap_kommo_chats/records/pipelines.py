"""A status of a pipeline, and the record it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.columns import Mirror, flag, number, text

if TYPE_CHECKING:
    from collections.abc import Iterator

PIPELINES = Mirror.of(
    "pipelines",
    ("account_id", "pipeline_id", "status_id"),
    (
        number("account_id", "Kommo's number of the account.", required=True),
        number("pipeline_id", "Kommo's number of the pipeline.", required=True),
        text("pipeline_name", "Its name."),
        number("pipeline_sort", "Its place among the pipelines."),
        flag("is_main", "Whether it is the main one."),
        flag("is_archive", "Whether it is put away."),
        number(
            "status_id",
            "Kommo's number of the status. 142 is won and 143 is lost in every "
            "pipeline.",
            required=True,
        ),
        text("status_name", "Its name."),
        number("status_sort", "Its place in the pipeline."),
        number("status_type", "1 for that of incoming leads, else 0."),
        text("status_color", "Its colour."),
    ),
    {
        "account_id": ("pipeline", "account_id"),
        "pipeline_id": ("pipeline", "id"),
        "pipeline_name": ("pipeline", "name"),
        "pipeline_sort": ("pipeline", "sort"),
        "is_main": ("pipeline", "is_main"),
        "is_archive": ("pipeline", "is_archive"),
        "status_id": ("status", "id"),
        "status_name": ("status", "name"),
        "status_sort": ("status", "sort"),
        "status_type": ("status", "type"),
        "status_color": ("status", "color"),
    },
)
"""One row per status of a pipeline."""


def read_statuses(value: object) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Take a pipeline apart leniently; what has no id is left out.

    Yields:
        The pipeline's number, the status's, and an object of both.
    """
    pipeline = value if isinstance(value, dict) else {}
    pipeline_id = read_id(pipeline.get("id"))
    embedded = pipeline.get("_embedded")
    statuses = embedded.get("statuses") if isinstance(embedded, dict) else None
    if pipeline_id is None or embedded is None or not isinstance(statuses, list):
        return
    others = {name: item for name, item in embedded.items() if name != "statuses"}
    alone = {name: item for name, item in pipeline.items() if name != "_embedded"}
    if others:
        alone["_embedded"] = others
    # What both say stands once.
    both = {"pipeline_id": pipeline.get("id"), "account_id": pipeline.get("account_id")}
    for status in statuses:
        status_id = read_id(status.get("id")) if isinstance(status, dict) else None
        if status_id is not None:
            own = {k: v for k, v in status.items() if k not in both or v != both[k]}
            yield pipeline_id, status_id, {"pipeline": alone, "status": own}
