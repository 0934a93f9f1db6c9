"""The tap: settings -> run -> streams."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib import StateMessage

from tap_kommo_chats.errors import SettingsError, TapError
from tap_kommo_chats.input_files import read_object
from tap_kommo_chats.kommo.token import note_of_end
from tap_kommo_chats.log import hide_in_log
from tap_kommo_chats.printable import printable
from tap_kommo_chats.run.frame import Frame
from tap_kommo_chats.run.run import Run
from tap_kommo_chats.run.stop import Stop
from tap_kommo_chats.settings.crm import names_channel
from tap_kommo_chats.settings.masks import parse_masks
from tap_kommo_chats.settings.meltano import with_nulls
from tap_kommo_chats.settings.parse import parse_settings
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA
from tap_kommo_chats.settings.secrets import secrets_of
from tap_kommo_chats.settings.unknown import unknown_variables, unread_variables
from tap_kommo_chats.state.layout import check_state
from tap_kommo_chats.state.tap_state import TapState
from tap_kommo_chats.streams.chat_history import ChatHistoryStream
from tap_kommo_chats.streams.configuration import as_far_as_read, judge
from tap_kommo_chats.streams.conversations import ConversationsStream
from tap_kommo_chats.streams.maps import lost_keys
from tap_kommo_chats.streams.mirrored import (
    AccountsStream,
    ChatEventsStream,
    LeadsStream,
    PipelinesStream,
    UsersStream,
)
from tap_kommo_chats.streams.runs import RunsStream
from tap_kommo_chats.streams.talk_messages import TalkMessagesStream
from tap_kommo_chats.streams.talks import TalksStream
from tap_kommo_chats.streams.writer import BufferedWriter, flush_output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    import click
    from singer_sdk import Stream

    from tap_kommo_chats.settings.values import Settings
    from tap_kommo_chats.streams.plain import PlainStream

STREAMS: tuple[type[PlainStream], ...] = (
    ChatHistoryStream,
    AccountsStream,
    ChatEventsStream,
    ConversationsStream,
    LeadsStream,
    PipelinesStream,
    RunsStream,
    TalkMessagesStream,
    TalksStream,
    UsersStream,
)
"""All streams that there are."""

_DECIDING = (
    *("stream_maps", "stream_map_config", "faker_config"),
    *("flattening_enabled", "flattening_max_depth", "flattening_max_key_length"),
    "flattening_separator",
)
"""Settings that decide how records are written."""

_ENVIRONMENT = "ENV"
"""What `--config` names instead of a file."""

_SAID_AT_MOST = 200

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
            [
                stream.name
                for stream in self.streams.values()
                if stream.selected and stream.name not in self._unread()
            ],
            self.settings.lookback_ms,
            self._made_of(),
        )
        crm = self.settings.crm
        if crm and (note := note_of_end(crm.access_token, self.initialized_at)):
            self.logger.warning(note)
        is_glance = any(
            cast("PlainStream", stream).is_glance for stream in self.streams.values()
        )
        settings = self.settings
        if is_glance:
            # Side by side, more would be read than is looked at.
            settings = replace(settings, max_concurrency=1)
        frame = Frame(settings, self.initialized_at, self.stop, self, is_glance)
        return Run(frame, state)

    def _unread(self) -> set[str]:
        """Name the streams whose channels are not to be read."""
        unread = set()
        if not self.settings.has_channel:
            unread.add(ChatHistoryStream.name)
        if self.settings.crm is None or not self.settings.crm.reads_native:
            unread.add(TalkMessagesStream.name)
        return unread

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
        cls,
        ctx: click.Context,  # noqa: ARG003 (the SDK's)
        param: click.Option,  # noqa: ARG003 (the SDK's)
        value: tuple[str, ...],
    ) -> _ConfigInput:
        """Read the files of settings.

        Raises:
            SettingsError: If one cannot be read.
        """
        merged: dict[str, Any] = {}
        for path in value:
            if path != _ENVIRONMENT:
                merged |= read_object("--config", path)
        if merged:
            merged = with_nulls(merged, os.environ)
        return _ConfigInput(merged, parse_env=_ENVIRONMENT in value)

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
        except ConfigValidationError as error:
            raise SettingsError(error.errors) from None
        except (SingerSDKError, TapError):
            raise
        except Exception as error:  # noqa: BLE001 (the SDK raises whatever comes)
            said = printable(f"{type(error).__name__}: {error}", _SAID_AT_MOST)
            has_maps = bool(self.config.get("stream_maps"))
            problem = (
                f"{'stream_maps' if has_maps else 'flattening_enabled'} cannot be used "
                f"({said}): with flattening_enabled, no field of a map may be named as "
                "a flattened one is, and no name may be too long for "
                "flattening_max_key_length"
            )
            raise SettingsError([problem]) from None
        if problems := lost_keys(chain.from_iterable(self.mapper.stream_maps.values())):
            raise SettingsError(problems)

    def discover_streams(self) -> Sequence[Stream]:
        """Make the tap's streams: all but those that the settings have nothing for."""
        masks, _ = parse_masks(self.config)
        has_crm = self.config.get("crm_url") or not names_channel(self.config)
        return [
            kind(self, lambda: self.run, masks)
            for kind in STREAMS
            if (has_crm or not kind.needs_crm)
            and not (kind.needs_search and self.config.get("search_crm") is False)
        ]

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams in the order in which they are written.

        The messages come first, because what all others tell is known when they were
        read. The run itself comes at its end.
        """
        found = super().streams
        places = {
            ChatHistoryStream.name: -2,
            TalkMessagesStream.name: -1,
            RunsStream.name: 1,
        }
        ordered = sorted(found, key=lambda name: (places.get(name, 0), name))
        return {name: found[name] for name in ordered}

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

    def end_with_state(self) -> None:
        """Write the state once more, if a record was written after it.

        Some targets forget a STATE that a record follows, such as target-jsonl.
        """
        writer = cast("BufferedWriter", self.message_writer)
        if writer.is_record_last and self.state:
            writer.write_message(StateMessage(value=self.state))

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

        What cannot be read stays the text that it is, so that the check of the settings
        names it.
        """
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        return as_far_as_read(schema, self._env_var_prefix)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings before anything is asked of Kommo.

        The SDK's own check quotes the value it does not like, which may be the
        secret, and knows types only. It is kept for the settings the SDK adds.

        Args:
            raise_errors: Whether problems stop the run. Discovery goes on.

        Returns:
            The problems, one line each.

        Raises:
            SettingsError: If there are problems and they stop the run.
        """
        hide_in_log(secrets_of(self._config))
        problems, notes = self.judged()
        if not problems:
            for note in notes:
                self.logger.warning(note)
        elif raise_errors:
            raise SettingsError(problems)
        return problems

    def judged(self) -> tuple[list[str], list[str]]:
        """Say what is wrong with the configuration, and what is worth a look."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        shapes = [stream.shape for stream in STREAMS]
        problems, notes = judge(self._config, schema, OWN_SETTINGS, shapes)
        prefix, known = self._env_var_prefix, schema["properties"]
        variables = [name for name, value in os.environ.items() if value]
        notes += unknown_variables(variables, prefix, known)
        notes += unread_variables(variables, prefix, known, self._config)
        return problems, notes
