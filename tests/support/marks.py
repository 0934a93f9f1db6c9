"""Marks that several files of tests use."""

from __future__ import annotations

import pytest

LONG = pytest.mark.slow(reason="it takes more than ten seconds")
