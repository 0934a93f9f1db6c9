"""Fixtures of the tests about checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.check import CheckedAccount

if TYPE_CHECKING:
    from sandbox import Sandbox


@pytest.fixture
def account(sandbox: Sandbox) -> CheckedAccount:
    """Return an account that has something of everything."""
    filled = CheckedAccount(sandbox)
    filled.fill()
    return filled
