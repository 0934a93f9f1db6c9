"""Times the state alone, in a process of its own.

``python -m benchmarks.state N`` is with N quiet conversations, with ``active`` after it
with as many in which something happened within the look-back.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from benchmarks.workload import CHANNEL_SECRET, SCOPE_ID, conversation_id
from tap_kommo_chats.run.window import Window
from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.known import Known
from tap_kommo_chats.tap import TapKommoChats
from tap_kommo_chats.times import DAY_MS, HOUR_MS, SECOND_MS


def main() -> None:
    """Load a state, write it once, and print how long that took."""
    count = int(sys.argv[1])
    known = _active if "active" in sys.argv else _quiet
    ids = [conversation_id(number) for number in range(count)]
    stream_state: dict[str, Any] = {}
    bookmarks = Bookmarks(stream_state, DAY_MS)
    for place, id_ in enumerate(ids):
        sent_ms = 1_700_000_000_000 + place
        bookmarks.keep(id_, known(sent_ms))
    config = {
        "api_url": "http://127.0.0.1:1",
        "scope_id": SCOPE_ID,
        "channel_secret": CHANNEL_SECRET,
        # One only, because reading 100,000 ids takes longer than reading their state.
        "conversation_ids": ids[:1],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.json")
        state = {"bookmarks": {"chat_history": stream_state}}
        path.write_text(json.dumps(state))
        started = time.perf_counter()
        read = json.loads(path.read_bytes())
        tap = TapKommoChats(config=config, state=read)
        stream = tap.streams["chat_history"]
        Bookmarks(stream.stream_state, DAY_MS)
        loaded = time.perf_counter()
    tap.state_writer.write_state(tap.state)
    written = time.perf_counter()
    # The line of the state went to the standard output, so this goes beside it.
    result = {"load": loaded - started, "write": written - loaded}
    sys.stderr.write(json.dumps(result) + "\n")


def _quiet(sent_ms: int) -> Known:
    return Known(sent_ms, 1_800_000_000_000, sent_ms)


def _active(sent_ms: int) -> Known:
    """Make one that was read within the look-back, through the CRM, with its digest."""
    window = Window(None, sent_ms + HOUR_MS, DAY_MS)
    for n in range(10):
        record = {"message_id": f"{sent_ms}-{n}"}
        deque(window.take(record, sent_ms - n), maxlen=0)
    seconds = sent_ms // SECOND_MS * SECOND_MS
    digest = window.digest(sent_ms)
    return Known(sent_ms, seconds + HOUR_MS, seconds, seconds, True, digest)  # noqa: FBT003


if __name__ == "__main__":
    main()
