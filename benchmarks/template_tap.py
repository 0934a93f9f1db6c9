"""A tap as the Singer SDK's project template gives it, filled in for this API.

One partition per conversation, the SDK's offset paginator, its default writer and its
conformance of records to the schema.

    python -m benchmarks.template_tap --config config.json > messages.jsonl
"""

from __future__ import annotations

import decimal
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.helpers.jsonpath import extract_jsonpath
from singer_sdk.pagination import OffsetPaginator
from singer_sdk.streams import RESTStream

from benchmarks.signing import SignatureAuth

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests
    from singer_sdk.helpers.types import Context, Record

PAGE_SIZE = 50

_PARTICIPANT = th.ObjectType(
    *(
        th.Property(name, th.StringType)
        for name in ("id", "client_id", "name", "avatar", "phone", "email")
    )
)
_MESSAGE = th.ObjectType(
    *(
        th.Property(name, th.StringType)
        for name in ("id", "client_id", "type", "text", "media", "thumbnail")
    ),
    th.Property("file_name", th.StringType),
    th.Property("file_size", th.IntegerType),
    th.Property("media_group_id", th.StringType),
    th.Property(
        "location",
        th.ObjectType(
            th.Property("lon", th.NumberType), th.Property("lat", th.NumberType)
        ),
    ),
    th.Property(
        "contact",
        th.ObjectType(
            th.Property("name", th.StringType), th.Property("phone", th.StringType)
        ),
    ),
)


class HistoryPaginator(OffsetPaginator):
    """The SDK's paginator, told when to stop."""

    def has_more(self, response: requests.Response) -> bool:
        """Go on after a full page.

        Args:
            response: The page's answer.
        """
        return bool(response.content) and len(response.json()["messages"]) == PAGE_SIZE


class HistoryStream(RESTStream[int]):
    """The messages of each conversation."""

    name = "chat_history"
    path = "/v2/origin/custom/{scope_id}/chats/{conversation_id}/history"
    primary_keys = ("conversation_id", "message_id")
    replication_key = "sent_at"
    records_jsonpath = "$.messages[*]"
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("conversation_id", th.StringType),
        th.Property("message_id", th.StringType),
        th.Property("sent_at", th.DateTimeType),
        th.Property("timestamp", th.IntegerType),
        th.Property("msec_timestamp", th.IntegerType),
        th.Property("sender", _PARTICIPANT),
        th.Property("receiver", _PARTICIPANT),
        th.Property("message", _MESSAGE),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """The API's address."""
        return str(self.config["api_url"])

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """One for each conversation."""
        return [{"conversation_id": id_} for id_ in self.config["conversation_ids"]]

    @cached_property
    def authenticator(self) -> SignatureAuth:
        """Signs requests."""
        return SignatureAuth(self.config["channel_secret"])

    def get_new_paginator(self) -> HistoryPaginator:
        """Start at the newest message."""
        return HistoryPaginator(start_value=0, page_size=PAGE_SIZE)

    def get_url_params(
        self,
        context: Context | None,  # noqa: ARG002 (the SDK's)
        next_page_token: int | None,
    ) -> dict[str, Any]:
        """Ask for a page.

        Args:
            context: The conversation.
            next_page_token: The offset.
        """
        return {"offset": next_page_token, "limit": PAGE_SIZE}

    def parse_response(self, response: requests.Response) -> Iterable[Record]:
        """Take the rows out of an answer.

        Args:
            response: The answer.

        Yields:
            The rows.
        """
        if response.content:
            yield from extract_jsonpath(
                self.records_jsonpath,
                input=response.json(parse_float=decimal.Decimal),
            )

    def post_process(
        self,
        row: Record,
        context: Context | None = None,  # noqa: ARG002 (the SDK's)
    ) -> Record | None:
        """Add the key and the time.

        Args:
            row: A row of the API.
            context: The conversation.
        """
        row["message_id"] = row["message"]["id"]
        row["sent_at"] = datetime.fromtimestamp(
            row["msec_timestamp"] / 1000, tz=timezone.utc
        ).isoformat()
        return row


class TemplateTap(Tap):
    """The tap."""

    name = "tap-template"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("channel_secret", th.StringType, required=True, secret=True),
        th.Property("scope_id", th.StringType, required=True),
        th.Property("api_url", th.StringType, required=True),
        th.Property("conversation_ids", th.ArrayType(th.StringType), required=True),
    ).to_dict()

    def discover_streams(self) -> list[HistoryStream]:
        """Make the one stream."""
        return [HistoryStream(tap=self)]


if __name__ == "__main__":
    TemplateTap.cli()
