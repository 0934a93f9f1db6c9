"""The same work with dlt, up to the files it extracts to.

Its REST client and offset paginator, a resource of conversations, and a transformer
whose calls are deferred to dlt's thread pool. Normalising and loading are left out: a
Singer target does these after the tap.

    python -m benchmarks.dlt_source config.json working_directory
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.exceptions import IgnoreResponseException
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator

from benchmarks.signing import SignatureAuth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.extract import DltResource
    from requests import Response

PAGE_SIZE = 50


class HistoryPaginator(OffsetPaginator):
    """dlt's paginator, told to stop at a short page and not to ask for an empty one."""

    def __init__(self) -> None:
        """Start at the newest message."""
        super().__init__(limit=PAGE_SIZE, total_path=None)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Look whether there is more.

        Args:
            response: The page's answer.
            data: Its rows.
        """
        super().update_state(response, data)
        if len(data or ()) < PAGE_SIZE:
            self._has_next_page = False


def _check(response: Response, *_: object, **__: object) -> None:
    response.raise_for_status()
    if not response.content:
        # A 204, which dlt would try to read as JSON.
        raise IgnoreResponseException


@dlt.source(name="kommo")
def kommo(config: dict[str, Any]) -> DltResource:
    """Make the source.

    Args:
        config: Where to read, as whom, and which conversations.
    """
    client = RESTClient(
        base_url=config["api_url"],
        auth=SignatureAuth(config["channel_secret"]),
        paginator=HistoryPaginator(),
        data_selector="messages",
    )

    @dlt.resource(selected=False)
    def conversations() -> Iterator[list[str]]:
        yield config["conversation_ids"]

    @dlt.transformer(
        data_from=conversations,
        primary_key=("conversation_id", "message_id"),
        write_disposition="merge",
    )
    def chat_history(conversation_ids: list[str]) -> Iterator[Any]:
        @dlt.defer
        def read(conversation_id: str) -> list[dict[str, Any]]:
            path = (
                f"v2/origin/custom/{config['scope_id']}/chats/{conversation_id}/history"
            )
            return [
                {
                    "conversation_id": conversation_id,
                    "message_id": row["message"]["id"],
                    **row,
                }
                for page in client.paginate(path, hooks={"response": [_check]})
                for row in page
            ]

        for conversation_id in conversation_ids:
            yield read(conversation_id)

    return chat_history


def main() -> None:
    """Extract all conversations of a configuration."""
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pipeline = dlt.pipeline(
        pipeline_name="kommo", destination="duckdb", pipelines_dir=sys.argv[2]
    )
    pipeline.extract(kommo(config))


if __name__ == "__main__":
    main()
