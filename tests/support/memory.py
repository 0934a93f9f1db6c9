"""How much memory something takes."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def peak_of(iterable: Iterable[object]) -> int:
    """The most bytes that Python held at once while it went through something."""
    gc.collect()
    tracemalloc.start()
    try:
        for _ in iterable:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
