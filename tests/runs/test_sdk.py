"""The SDK's own tests for taps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from sandbox import (
    CHANNEL_SECRET,
    CRM_TOKEN,
    OWN_ORIGIN,
    SCOPE_ID,
    Sandbox,
    seeded_crm,
    seeded_store,
)
from tap_kommo_chats.tap import TapKommoChats
from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Iterator

# The SDK makes a tap when the tests are collected, before there is a server.
CONFIG: dict[str, Any] = {
    "scope_id": SCOPE_ID,
    "channel_secret": CHANNEL_SECRET,
    "conversation_ids": ["none"],
    # Without a CRM some streams are not there.
    "crm_url": "http://localhost",
    "crm_access_token": CRM_TOKEN,
    "crm_origins": [OWN_ORIGIN],
    "native_channels": True,
}

StandardTapTests = get_tap_test_class(
    TapKommoChats,
    config=CONFIG,
    # As many as it takes until the search has met an event.
    suite_config=SuiteConfig(max_records_limit=10_000),
    parse_env_config=False,
)


class TestTapKommoChats(StandardTapTests):  # type: ignore[misc, valid-type]
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(cls) -> Iterator[None]:
        store = seeded_store()
        with Sandbox(store, seeded_crm(store)) as sandbox:
            CONFIG.update(config_for(sandbox), crm_url=sandbox.url)
            yield
