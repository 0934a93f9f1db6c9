"""A sandbox and its CRM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import CrmStore, Sandbox
from tests.sandbox.requesting import store_with

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def crm() -> CrmStore:
    return CrmStore()


@pytest.fixture
def sandbox(crm: CrmStore) -> Iterator[Sandbox]:
    with Sandbox(store_with(1), crm) as running:
        yield running
