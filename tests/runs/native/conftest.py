"""Fixtures of the tests about native channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.native import NativeAccount

if TYPE_CHECKING:
    from sandbox import Sandbox


@pytest.fixture
def account(sandbox: Sandbox) -> NativeAccount:
    return NativeAccount(sandbox)
