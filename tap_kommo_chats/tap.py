"""The tap: settings -> run -> streams."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec
from singer_sdk import Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_kommo_chats.errors import SettingsError, TapError
from tap_kommo_chats.input_files import json_object, readable
from tap_kommo_chats.log import hide_in_log
from tap_kommo_chats.printable import printable
from tap_kommo_chats.records.mask_paths import path_notes, path_problems
from tap_kommo_chats.run.run import Run
from tap_kommo_chats.run.stop import Stop
from tap_kommo_chats.settings.masks import parse_masks
from tap_kommo_chats.settings.parse import parse_settings
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA
from tap_kommo_chats.settings.secrets import secrets_of
from tap_kommo_chats.state.layout import check_state
from tap_kommo_chats.state.tap_state import TapState
from tap_kommo_chats.streams.chat_history import ChatHistoryStream
from tap_kommo_chats.streams.conversations import ConversationsStream
from tap_kommo_chats.streams.maps import map_problems
from tap_kommo_chats.streams.runs import RunsStream
from tap_kommo_chats.streams.talks import TalksStream
from tap_kommo_chats.streams.writer import BufferedWriter, flush_output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import IO

    import click
    from jsonschema.protocols import Validator
    from singer_sdk import Stream
    from singer_sdk.plugin_base import _ConfigInput

    from tap_kommo_chats.settings.values import Settings
    from tap_kommo_chats.streams.plain import PlainStream

STREAMS: tuple[type[PlainStream], ...] = (
    ChatHistoryStream,
    ConversationsStream,
    RunsStream,
    TalksStream,
)
"""All streams that there are."""

_DECIDING = (
    *("stream_maps", "stream_map_config", "faker_config"),
    *("flattening_enabled", "flattening_max_depth", "flattening_max_key_length"),
)
"""Settings that decide how records are written."""

_SAID_AT_MOST = 200
_REMEDY = "write it as the documentation of the Meltano SDK does"

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
            self.settings.lookback_ms,
            self._made_of(),
        )
        return Run(self.settings, state, self.initialized_at, self, self.stop)

    def _made_of(self) -> str:
        """Tell what decides how messages are written, in a few letters."""
        stream = cast("ChatHistoryStream", self.streams[ChatHistoryStream.name])
        settings = {name: self.config.get(name) for name in _DECIDING}
        made_of = [stream.record_mask.fingerprint, self.settings.lookback_ms, settings]
        digest = hashlib.blake2b(msgspec.json.encode(made_of), digest_size=6)
        return digest.hexdigest()

    @cached_property
    def stop(self) -> Stop:
        """Whether a signal asked to stop."""
        return Stop()

    @classmethod
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the files of settings.

        Raises:
            SettingsError: If one cannot be read.
        """
        with readable("--config"):
            return super().cb_config(ctx, param, value)

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run, with files of state and catalog that can be read.

        Raises:
            SettingsError: If one cannot be.
        """
        super().invoke(
            about=about,
            about_format=about_format,
            config=config,
            state=json_object("--state", state),
            catalog=json_object("--catalog", catalog),
        )

    def setup_mapper(self) -> None:
        """Set up the operator's stream maps.

        The SDK takes its schemas from the given catalog. By then the streams have to
        have masked those, and they do so when they are made.

        Raises:
            SettingsError: If they cannot be used, for a reason that the SDK has no
                words for.
            SingerSDKError: If it has.
        """
        _ = self.streams
        try:
            super().setup_mapper()
        except (SingerSDKError, TapError):
            raise
        except Exception as error:  # noqa: BLE001 (the SDK raises whatever comes)
            said = printable(f"{type(error).__name__}: {error}", _SAID_AT_MOST)
            problem = (
                f"stream_maps cannot be used ({said}): with flattening_enabled, no "
                "field of a map may be named as a flattened one is"
            )
            raise SettingsError([problem]) from None

    def discover_streams(self) -> Sequence[Stream]:
        """Make the tap's streams, the talks where there is a CRM."""
        masks, _ = parse_masks(self.config)
        return [
            kind(self, lambda: self.run, masks)
            for kind in STREAMS
            if kind is not TalksStream or self.config.get("crm_url")
        ]

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams in the order in which they are written: that of their names.

        So what is told of the conversations comes after the reading of their messages.
        The run itself comes at its end.
        """
        found = super().streams
        if RunsStream.name in found:
            found[RunsStream.name] = found.pop(RunsStream.name)
        return found

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state that this tap wrote.

        Raises:
            StateError: If it is another one.
        """
        check_state(state)
        super().load_state(state)
        if parts := self.state.get("bookmarks"):
            # The SDK adds an empty part for each stream that it goes through, and
            # writes all of the state again for it.
            for name in self.streams:
                parts.setdefault(name, {})

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

    @property
    def _env_var_config(self) -> dict[str, Any]:
        """What the environment sets.

        The SDK ends with a traceback where it cannot read a value. Here that stays the
        text that it is, so that the check of the settings names it.
        """
        try:
            return dict(super()._env_var_config)
        except ValueError:
            pass
        found: dict[str, Any] = {}
        for name, setting in self.config_jsonschema["properties"].items():
            one = {"properties": {name: setting}}
            try:
                found |= parse_environment_config(one, self._env_var_prefix)
            except ValueError:
                found[name] = os.environ[f"{self._env_var_prefix}{name.upper()}"]
        return found

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
        hide_in_log(secrets_of(self._config))
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        validator = JSONSchemaValidator(schema)
        shapes = [stream.shape for stream in STREAMS]
        masks, problems = parse_masks(self._config)
        notes = path_notes(masks, shapes)
        problems += path_problems(masks, shapes)
        problems += map_problems(self._config.get("stream_maps"), shapes)
        problems += [
            problem
            for name, value in self._config.items()
            if name not in OWN_SETTINGS
            for problem in _problems(validator, name, {name: value})
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


def _problems(validator: Validator, name: str, one: dict[str, Any]) -> list[str]:
    """Say what is wrong with a setting of the SDK's, without showing its value."""
    try:
        errors = [error for error in validator.iter_errors(one) if error.path]
    except Exception:  # noqa: BLE001 (the SDK's check of maps is no match for all)
        return [f"{printable(name, _SAID_AT_MOST)} cannot be read: {_REMEDY}"]
    problems = []
    for error in errors:
        kind = "what it should be"
        if error.validator == "type":
            kinds: Any = error.validator_value
            kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
        place = printable(".".join(map(str, error.path)), _SAID_AT_MOST)
        problems.append(f"{place} is not {kind}: {_REMEDY}")
    return problems
