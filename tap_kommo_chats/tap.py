"""The tap: settings -> run -> streams."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.records.mask_paths import path_notes, path_problems
from tap_kommo_chats.run.run import Run
from tap_kommo_chats.run.stop import Stop
from tap_kommo_chats.settings.masks import parse_masks
from tap_kommo_chats.settings.parse import parse_settings
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA
from tap_kommo_chats.state.layout import check_state
from tap_kommo_chats.state.tap_state import TapState
from tap_kommo_chats.streams.chat_history import ChatHistoryStream
from tap_kommo_chats.streams.conversations import ConversationsStream
from tap_kommo_chats.streams.maps import map_problems
from tap_kommo_chats.streams.talks import TalksStream
from tap_kommo_chats.streams.writer import BufferedWriter, flush_output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from singer_sdk import Stream

    from tap_kommo_chats.settings.values import Settings
    from tap_kommo_chats.streams.plain import PlainStream

STREAMS: tuple[type[PlainStream], ...] = (
    ChatHistoryStream,
    ConversationsStream,
    TalksStream,
)
"""All streams that there are."""

OWN_SETTINGS = frozenset(SETTINGS_SCHEMA["properties"])
"""The names of the tap's settings, without those that the SDK adds to the schema."""


class TapKommoChats(Tap):
    """Singer tap for the chat messages of Kommo (formerly amoCRM)."""

    name = "tap-kommo-chats"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS_SCHEMA
    # BATCH is left out: files written beside the messages would let a bookmark
    # overtake its records.
    message_writer_class = BufferedWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    @cached_property
    def settings(self) -> Settings:
        """The checked settings.

        Raises:
            SettingsError: If the tap was made without checking them, as discovery
                does, and they cannot be used.
        """
        return parse_settings(self._config)

    @cached_property
    def run(self) -> Run:
        """The run, which the streams share."""
        state = TapState(
            lambda name: self.streams[name].stream_state,
            [stream.name for stream in self.streams.values() if stream.selected],
        )
        return Run(self.settings, state, self.initialized_at, self, self.stop)

    @cached_property
    def stop(self) -> Stop:
        """Whether a signal asked to stop."""
        return Stop()

    def discover_streams(self) -> Sequence[Stream]:
        """Make the tap's streams, the talks where there is a CRM.

        They are written in the order of their names, so that what is told of the
        conversations comes after the reading of their messages.
        """
        masks, _ = parse_masks(self.config)
        return [
            kind(self, lambda: self.run, masks)
            for kind in STREAMS
            if kind is not TalksStream or self.config.get("crm_url")
        ]

    def setup_mapper(self) -> None:
        """Set up the SDK's mapping, which takes its schemas from the given catalog.

        By then the streams have to have masked those, and they do so when they are
        made.
        """
        _ = self.streams
        super().setup_mapper()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state that this tap wrote.

        Raises:
            StateError: If it is another one.
        """
        check_state(state)
        super().load_state(state)

    def write_state(self) -> None:
        """Write the state as it is."""
        self.state_writer.write_state(self.state)

    def flush(self) -> None:
        """Hand to the target what is still held back."""
        flush_output()

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 (the SDK's)
        """Ask the run to stop.

        The SDK would write the state here, perhaps in the middle of a record.
        """
        self.stop.request(signum)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings before anything is asked of Kommo.

        The SDK's own check quotes the value it does not like, which may be the
        secret, and knows types only. It is kept for the settings the SDK adds.

        Args:
            raise_errors: Whether problems stop the run. Discovery goes on.

        Returns:
            The problems, one line each.

        Raises:
            ConfigValidationError: If there are problems and they stop the run.
        """
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        others = {
            name: value
            for name, value in self._config.items()
            if name not in OWN_SETTINGS
        }
        shapes = [stream.shape for stream in STREAMS]
        masks, problems = parse_masks(self._config)
        notes = path_notes(masks, shapes)
        problems += path_problems(masks, shapes)
        problems += map_problems(self._config.get("stream_maps"), shapes)
        problems += [
            f"{error.path[0]} is not usable: {error.message}"
            for error in JSONSchemaValidator(schema).iter_errors(others)
            if error.path
        ]
        try:
            notes += self.settings.notes
        except SettingsError as error:
            problems = [*error.problems, *problems]
        if not problems:
            for note in notes:
                self.logger.warning(note)
        elif raise_errors:
            summary = "The settings cannot be used, nothing was asked of Kommo"
            raise ConfigValidationError(summary, errors=problems, schema=schema)
        return problems
