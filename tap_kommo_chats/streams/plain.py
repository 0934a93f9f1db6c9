"""A stream whose records are ready to be written, and whose bookmarks are its own.

The SDK does much with each record for streams that need it: it makes its values fit the
schema, looks for fields to leave out, and keeps one time as the bookmark. What the
catalog leaves out is masked when a record is made, as what the settings mask.
"""

from __future__ import annotations

import logging
import sys
from abc import abstractmethod
from contextlib import closing
from datetime import datetime, timezone
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from singer_sdk import Stream
from singer_sdk.exceptions import SingerSDKError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import RecordMessage, Schema

from tap_kommo_chats.errors import RunError, TapError
from tap_kommo_chats.records.masks import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterable

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context
    from singer_sdk.singerlib import Catalog

    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.records.shape import Shape
    from tap_kommo_chats.run.run import Run
    from tap_kommo_chats.settings.values import MaskSettings

Rows: TypeAlias = "Generator[Record, None, None]"


class PlainStream(Stream):
    """What the SDK does with records of other streams, left out.

    Attributes:
        shape: What the records look like before anything is masked.
        needs_crm: Whether there is nothing of it without a CRM.
        needs_search: Whether there is nothing of it where the CRM is not searched.
    """

    shape: ClassVar[Shape]
    needs_crm: ClassVar[bool] = False
    needs_search: ClassVar[bool] = False

    # STATE goes out when the stream says so, and not by the number of records.
    STATE_MSG_FREQUENCY = sys.maxsize
    # Records are made to fit their schema.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(
        self, tap: Tap, open_run: Callable[[], Run], masks: MaskSettings
    ) -> None:
        """Make the stream.

        Args:
            tap: The tap it belongs to.
            open_run: Gives the run of all streams, which needs settings that can be
                used. Discovery does not.
            masks: What the settings mask.
        """
        self._masks = masks
        mask = Mask.of(self.shape, masks)
        super().__init__(tap=tap, schema=mask.schema(self.shape.schema))
        self.open_run = open_run

    @abstractmethod
    def rows(self) -> Rows:
        """Make the records of a run, as they are written."""

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002 (there are no partitions)
        """Make all records, or the first alone where that is all that is asked for."""
        with closing(self.rows()) as rows:
            # One more would be read and thrown away.
            yield from islice(rows, 1 if self.is_glance else None)

    @property
    def is_glance(self) -> bool:
        """Whether one record is enough, as for `--test`."""
        return self.ABORT_AT_RECORD_COUNT == 1

    def log(
        self,
        message: str,
        *args: object,
        level: int = logging.INFO,
        **kwargs: Any,  # noqa: ANN401 (the SDK's)
    ) -> None:
        """Log a message, but none of an error of which the command tells.

        The SDK calls each error unhandled that ends a stream.
        """
        is_told = isinstance(sys.exc_info()[1], SingerSDKError | TapError)
        if level < logging.ERROR or not is_told:
            super().log(message, *args, level=level, **kwargs)

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take over a catalog, which may have been made before something was masked."""
        if entry := catalog.get_stream(self.name):
            mask = Mask.of(self.shape, self._masks)
            entry.schema = Schema.from_dict(mask.schema(entry.schema.to_dict()))
        super().apply_catalog(catalog)

    @cached_property
    def record_mask(self) -> Mask:
        """What is masked in each record: by the settings, and by the catalog."""
        deselected = [
            breadcrumb[1::2]
            for breadcrumb, is_selected in self.mask.items()
            if breadcrumb and not is_selected
        ]
        return Mask.of(self.shape, self._masks, deselected)

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Set no upper bound for a bookmark that the stream does not keep."""

    def _write_record_message(self, record: dict[str, Any]) -> None:
        """Write a record, which has nothing that is to be left out, as it is.

        The SDK walks through every field of every record to see whether it was
        deselected, which takes longer than anything else done with the record.
        """
        if self._is_plain:
            self._write(self.name, record)
        else:
            self._write_mapped(record)
        self.state_manager.is_flushed = False

    def _write(self, stream: str, record: Record) -> None:
        self._tap.write_message(
            RecordMessage(
                stream=stream,
                record=record,
                time_extracted=datetime.now(timezone.utc),
            )
        )

    def _write_mapped(self, record: dict[str, Any]) -> None:
        """Write what the operator's maps make of a record.

        Raises:
            RunError: If an expression cannot be applied to it.
        """
        try:
            for each in self.stream_maps:
                mapped = each.transform(record)
                if mapped is not None:
                    if each.flattening_enabled:
                        columns = each.transformed_schema["properties"]
                        mapped = _in_columns(mapped, columns, self.name)
                    self._write(each.stream_alias, mapped)
        except (SingerSDKError, TapError):
            raise
        except Exception as error:  # noqa: BLE001 (whatever an expression raises)
            # Its text may quote the record.
            msg = (
                f"stream_maps cannot be applied to a record of {self.name} "
                f"({type(error).__name__}): mend the expression that does not take all "
                "values of its fields, null among them"
            )
            raise RunError(msg) from None

    @cached_property
    def _is_plain(self) -> bool:
        """Whether no stream map is set."""
        maps = self.stream_maps
        return (
            [type(stream_map) for stream_map in maps] == [SameRecordTransform]
            and maps[0].stream_alias == self.name
            and not maps[0].flattening_enabled
        )

    def generate_child_contexts(
        self,
        record: dict[str, Any],  # noqa: ARG002 (the SDK's)
        context: Context | None,  # noqa: ARG002 (the SDK's)
    ) -> Iterable[Context | None]:
        """Make no context for each record: the stream has no children."""
        return ()

    def _write_starting_replication_value(self, context: Context | None) -> None:
        pass

    def _increment_stream_state(
        self,
        latest_record: dict[str, Any],
        *,
        context: Context | None = None,
    ) -> None:
        pass


def _in_columns(record: Record, columns: Container[str], stream: str) -> dict[str, Any]:
    """Leave out of a flattened record what its schema has no column for.

    That is an object that is null: its columns are those of its fields. The SDK writes
    it as a field of its own, which a loader drops or fails on.

    Args:
        record: The record.
        columns: The names of the columns.
        stream: The stream's name.

    Raises:
        RunError: If something else has no column, which the operator's maps made.
    """
    fitting = {name: value for name, value in record.items() if name in columns}
    others = record.keys() - fitting.keys()
    if any(record[name] is not None for name in others):
        # Not by its name, which may be a piece of the record.
        msg = (
            f"stream_maps makes an object in a record of {stream} that has a field "
            "which the schema has not, so flattening has no column for it: make fields "
            "of their own of it, or leave flattening_enabled out"
        )
        raise RunError(msg)
    return fitting
