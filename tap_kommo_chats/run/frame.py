"""What holds for all of a run, and whoever reads for it has to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.state.known import margin_ms

if TYPE_CHECKING:
    from tap_kommo_chats.run.stop import Output, Stop
    from tap_kommo_chats.settings.values import Settings
    from tap_kommo_chats.sharding import Shard


@dataclass(frozen=True, slots=True)
class Frame:
    """What holds for all of a run.

    Attributes:
        settings: What the operator wants.
        started_ms: When the run began, in milliseconds since 1970.
        stop: Says whether a signal asked to stop.
        output: Where records go.
        is_glance: Whether one record of each stream is all that is asked for.
    """

    settings: Settings
    started_ms: int
    stop: Stop
    output: Output
    is_glance: bool = False

    @property
    def shard(self) -> Shard:
        """Which part of the rows to write."""
        return self.settings.shard

    @property
    def margin_ms(self) -> int:
        """How far the next search goes back before this run, in milliseconds."""
        return margin_ms(self.settings.lookback_ms)
