"""Fixtures of the tests about streams that mirror the CRM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.account import Account

if TYPE_CHECKING:
    from sandbox import Sandbox


@pytest.fixture
def account(sandbox: Sandbox) -> Account:
    return Account(sandbox)
