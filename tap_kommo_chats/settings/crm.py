"""Reading the settings of the CRM, and whether a channel of one's own is meant."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from tap_kommo_chats.origins import EVERY, Origins
from tap_kommo_chats.settings.reader import Reader
from tap_kommo_chats.settings.schema import DEFAULT_TALK_IDS_REQUESTS
from tap_kommo_chats.settings.values import CrmSettings, TalkNumbers

if TYPE_CHECKING:
    from tap_kommo_chats.settings.reader import Config

_OF_A_CHANNEL = (
    *("channel_secret", "scope_id", "channel_id", "conversation_ids"),
    *("conversations_file", "conversations_sql_url", "conversations_sql_query"),
    "crm_origins",
)
"""The settings that make sense with a channel of one's own only."""


def names_channel(config: Config) -> bool:
    """Tell whether a configuration says that there is a channel of one's own."""
    given = (config.get(name) for name in _OF_A_CHANNEL)
    return any(value is not None and value != [] for value in given)


class CrmReader(Reader):
    """Reads each of the CRM's settings."""

    @property
    def has_channel(self) -> bool:
        """Whether a channel of one's own is meant."""
        return names_channel(self.config) or self.config.get("crm_url") is None

    def crm(self) -> CrmSettings | None:
        """Read the CRM's settings; None where there is none."""
        together = ("crm_url", "crm_access_token")
        names = (*together, "crm_origins") if self.has_channel else together
        if self.config.get("crm_url") is None and self.native_channels():
            self.problems.append(
                "native_channels needs the CRM: write crm_url and crm_access_token"
            )
        if self.config.get("crm_url") is None and self.talk_ids():
            self.problems.append(
                "talk_ids needs the CRM: write crm_url and crm_access_token"
            )
        if not self.all_or_none(*names):
            return None
        url = self.url("crm_url", "https://example.kommo.com")
        token = self.text("crm_access_token", "a long-lived token of your integration")
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            self.problems.append(
                "crm_access_token has white space or what is no ASCII in it: copy the "
                "token anew"
            )
        native = self.native_channels()
        own = self.own_origins() if self.has_channel else frozenset()
        if token is None or (self.has_channel and not own):
            return None
        # Without a channel of one's own all others are looked at, if not read.
        looked_at = native or frozenset(() if self.has_channel else (EVERY,))
        return CrmSettings(
            url, token, Origins(own, looked_at), bool(native), self.talk_ids()
        )

    def talk_ids(self) -> TalkNumbers | None:
        """Read which talks are asked for by their numbers; None for none."""
        requests = self.integer(
            "talk_ids_requests", DEFAULT_TALK_IDS_REQUESTS, at_least=100
        )
        given = self.config.get("talk_ids")
        if given is None:
            return None
        found = re.fullmatch(r"(\d{1,15})-(\d{1,15})", str(given), re.ASCII)
        first, last = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 0 < first <= last:
            self.problems.append(
                "talk_ids is no range of numbers: write the first and the last one, "
                "such as 1-250000"
            )
            return None
        return TalkNumbers(first, last, requests)

    def native_channels(self) -> frozenset[str]:
        """Read the origins of native channels that are read."""
        given = self.config.get("native_channels")
        if isinstance(given, str):
            # As it comes from the environment.
            with suppress(ValueError):
                given = json.loads(given.lower() if given.isalpha() else given)
        if given is None or given is False:
            return frozenset()
        if given is True:
            return frozenset((EVERY,))
        if (
            isinstance(given, list)
            and given
            and all(isinstance(origin, str) and origin.strip() for origin in given)
        ):
            return frozenset(origin.strip() for origin in given)
        self.problems.append(
            "native_channels is neither true nor false nor a list of texts: write true "
            'for all channels that are not your own, or some, such as ["waba"]'
        )
        return frozenset()

    def own_origins(self) -> frozenset[str]:
        """Read the origins of the channel of one's own."""
        origins = self.config.get("crm_origins")
        if (
            not isinstance(origins, list)
            or not origins
            or not all(isinstance(origin, str) and origin.strip() for origin in origins)
        ):
            self.problems.append(
                "crm_origins is not a list of texts: write the origins of your "
                'channel\'s talks, such as ["amo.ext.12345678"]'
            )
            return frozenset()
        return frozenset(origin.strip() for origin in origins)
