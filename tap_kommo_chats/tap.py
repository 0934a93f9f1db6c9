"""The tap: its settings and its streams."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
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

from tap_kommo_chats.errors import StopRequestedError
from tap_kommo_chats.kommo.crm import CrmClient
from tap_kommo_chats.run.find import lists, survey
from tap_kommo_chats.settings import SETTINGS_SCHEMA, Settings, SettingsError
from tap_kommo_chats.sources.crm import CrmSource, Window
from tap_kommo_chats.state.bookmarks import check_state
from tap_kommo_chats.state.ledger import Ledger
from tap_kommo_chats.streams.chat_history import ChatHistoryStream
from tap_kommo_chats.streams.conversations import ConversationsStream, TalksStream
from tap_kommo_chats.streams.writer import BufferedWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from singer_sdk import Stream

    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.ledger import Entry

OWN_SETTINGS = frozenset(SETTINGS_SCHEMA["properties"])
"""The names of the tap's settings, without those that the SDK adds to the schema."""

_STOPPING_SECONDS = 4.0
"""After a signal the process ends within five seconds, whatever it waits for."""


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

    stop_signal: int | None = None
    """The signal that asked the run to stop, once one did."""

    entries_with_flaw = 0
    """How many entries of the lists of conversations are not as they should be."""

    was_surveyed = False
    """Whether the sources of conversations were gone through, or are being so."""

    crm_client: CrmClient | None = None
    """What asks the CRM, once the sources were gone through and if there is one."""

    _settings: Settings | None = None
    _is_interruptible = False

    @property
    def settings(self) -> Settings:
        """The checked settings.

        Raises:
            SettingsError: If the tap was made without checking them, as discovery
                does, and they cannot be used.
        """
        if self._settings is None:
            self._settings = Settings.parse(self.config)
        return self._settings

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state that this tap wrote.

        Args:
            state: The state, or an empty object.

        Raises:
            StateError: If it is another one.
        """
        others = (ConversationsStream.name, TalksStream.name)
        check_state(state, ChatHistoryStream.name, others)
        super().load_state(state)

    def discover_streams(self) -> Sequence[Stream]:
        """Make the tap's streams.

        Returns:
            The messages, the conversations, and the talks where there is a CRM.
        """
        streams: list[Stream] = [self.chat_history, ConversationsStream(self)]
        if self.config.get("crm_url"):
            streams.append(TalksStream(self))
        return streams

    @cached_property
    def chat_history(self) -> ChatHistoryStream:
        """The stream that reads; the others tell of what it met."""
        return ChatHistoryStream(self)

    @property
    def last_selected(self) -> Stream:
        """The selected stream that is written last."""
        return [stream for stream in self.streams.values() if stream.selected][-1]

    @cached_property
    def ledger(self) -> Ledger:
        """What the run knows of each conversation."""
        return Ledger()

    def survey(self, bookmarks: Bookmarks, *, from_beginning: bool) -> Iterator[Entry]:
        """Go through the sources of conversations.

        Args:
            bookmarks: Say up to when the CRM was searched, and who is owed.
            from_beginning: Whether the CRM is to be searched as if it never was.

        Yields:
            What is known of each conversation; once more when more becomes known.

        Raises:
            RunError: If a source cannot be used.
        """
        self.was_surveyed = True
        settings = self.settings
        crm = None
        if settings.crm is not None:
            origins = settings.crm.origins
            until_ms = (
                None if from_beginning else bookmarks.discovered_until_ms(origins)
            )
            self.crm_client = client = CrmClient(
                settings.crm.url,
                settings.crm.access_token,
                user_agent=self.chat_history.user_agent,
                request_timeout=settings.request_timeout,
                requests_per_second=settings.requests_per_second,
            )
            client.on_request = self.chat_history.show_progress
            window = Window(
                settings.start_ms
                if until_ms is None
                else until_ms - settings.hint_margin_ms,
                self.initialized_at,
                is_first=until_ms is None,
            )
            crm = CrmSource(client, self.ledger, settings.crm.origins, window)
        return survey(
            settings.shard,
            self.ledger,
            lists(settings, bookmarks.owed_ids, self._report_entry),
            crm,
            interruptible=self._interruptible,
        )

    def _report_entry(self, line: str) -> None:
        self.entries_with_flaw += 1
        self.logger.error("%s", line)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let a signal break into what waits in the block, such as for an answer.

        Raises:
            StopRequestedError: If a signal asks to stop.
        """
        self._is_interruptible = True
        try:
            if self.stop_signal is not None:
                raise StopRequestedError
            yield
        finally:
            self._is_interruptible = False

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 (the SDK's)
        """Ask the run to stop, and see to it that it does.

        The SDK would write the state here, perhaps in the middle of a record.

        Args:
            signum: The signal.
            frame: Not looked at.
        """
        self.stop_signal = signum
        # A target that does not read would keep the run from stopping.
        timer = threading.Timer(_STOPPING_SECONDS, os._exit, [128 + signum])
        timer.daemon = True
        timer.start()
        if self._is_interruptible:
            raise StopRequestedError

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
        problems = [
            f"{error.path[0]} is not usable: {error.message}"
            for error in JSONSchemaValidator(schema).iter_errors(others)
            if error.path
        ]
        try:
            self._settings = Settings.parse(self._config)
        except SettingsError as error:
            problems = [*error.problems, *problems]
        else:
            for note in self._settings.notes:
                self.logger.warning(note)
        if problems and raise_errors:
            summary = "The settings cannot be used, nothing was asked of Kommo"
            raise ConfigValidationError(summary, errors=problems, schema=schema)
        return problems
