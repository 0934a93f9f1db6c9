"""Fixtures of all tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from sandbox import ConversationStore, Sandbox, seeded_store
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says nothing on a machine that others use too. On the other
# Pythons of a machine fewer will do.
settings.register_profile(
    "shared machine",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES_AT_MOST", "100")),
)
settings.load_profile("shared machine")

# The SDK says so of a Python that is not maintained any more, in each command.
os.environ["PYTHONWARNINGS"] = "ignore:Python 3."


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; each test makes a database of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with no conversation yet."""
    with Sandbox(ConversationStore()) as server:
        yield server


@pytest.fixture
def seeded_sandbox() -> Iterator[Sandbox]:
    """A sandbox with the conversations of the demo."""
    with Sandbox(seeded_store()) as server:
        yield server
