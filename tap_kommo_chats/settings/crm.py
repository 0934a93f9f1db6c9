"""Reading the settings of the CRM, and whether a channel of one's own is meant."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from tap_kommo_chats.file_formats import file_format
from tap_kommo_chats.origins import EVERY, Origins
from tap_kommo_chats.settings.reader import Reader
from tap_kommo_chats.settings.schema import DEFAULT_TALK_IDS_REQUESTS
from tap_kommo_chats.settings.values import ACCOUNT_ID, CrmSettings, TalkNumbers

if TYPE_CHECKING:
    from tap_kommo_chats.settings.reader import Config

_LISTS = ("conversations_file", "conversations_sql_url", "conversations_sql_query")
_OF_A_CHANNEL = (
    *("channel_secret", "scope_id", "channel_id", "conversation_ids", "crm_origins"),
)
"""The settings that make sense with a channel of one's own only."""


def names_channel(config: Config) -> bool:
    """Tell whether a configuration says that there is a channel of one's own.

    So does a list of conversations, but for one of what another run's search found,
    which may name talks of native channels.
    """
    lists = () if config.get("search_crm") is False else _LISTS
    given = (config.get(name) for name in (*_OF_A_CHANNEL, *lists))
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
        is_searched = self.search_crm()
        if self.config.get("crm_url") is None:
            needing = [name for name, value in self.of_the_crm().items() if value]
            self.problems += [
                f"{name} needs the CRM: write crm_url and crm_access_token"
                for name in needing
            ]
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
            url,
            token,
            Origins(own, looked_at),
            bool(native),
            self.talk_ids(),
            is_searched,
            self.found_talks_file(),
        )

    def search_crm(self) -> bool:
        """Read whether the CRM is searched."""
        given = self.config.get("search_crm")
        if given is None or given is True:
            return True
        if given is not False:
            self.problems.append("search_crm is neither true nor false: write either")
            return True
        if not any(self.config.get(name) for name in _LISTS):
            self.problems.append(
                "search_crm is false, and nothing names what another run's search "
                "found: write conversations_file, or conversations_sql_url and "
                "conversations_sql_query"
            )
        needless = [n for n in ("talk_ids", "found_talks_file") if self.config.get(n)]
        if needless:
            self.problems.append(
                f"search_crm is false, which leaves {' and '.join(needless)} without a "
                "search: leave it or them out"
            )
        return False

    def found_talks_file(self) -> str | None:
        """Read where what searches find is kept; None for nowhere."""
        if self.config.get("found_talks_file") is None:
            return None
        location = self.text("found_talks_file", "a path or a URL")
        if location is None:
            return None
        if file_format(location) != ".jsonl":
            self.problems.append(
                "found_talks_file does not end in .jsonl or .jsonl.gz: name it so"
            )
        if re.match("https?:", location, re.IGNORECASE):
            self.problems.append(
                "found_talks_file is an address of the web, which takes no files: "
                "write a path, or a URL of an object store"
            )
        if self.config.get("shard") is not None:
            self.problems.append(
                "found_talks_file is for a search of its own: leave it or shard out"
            )
        return location

    def of_the_crm(self) -> dict[str, object]:
        """Read what makes no sense without the CRM, by its setting."""
        query = self.config.get("conversations_sql_query")
        return {
            "native_channels": self.native_channels(),
            "talk_ids": self.talk_ids(),
            "found_talks_file": self.config.get("found_talks_file"),
            "search_crm": self.config.get("search_crm") is False,
            ":account_id in conversations_sql_query": isinstance(query, str)
            and ACCOUNT_ID.search(query),
        }

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
