"""The least a program can do: requests, msgspec and threads, and nothing else.

No retries, no limit on requests, no state, no schema, no care for messages that vanish
while it reads. What the tap takes longer than this is the price of those.

    python -m benchmarks.bare config.json 8 > messages.jsonl
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import requests

from benchmarks.signing import signed_headers

PAGE_SIZE = 50


class _History(msgspec.Struct):
    messages: list[dict[str, Any]]


class _Reader:
    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._secret = config["channel_secret"].encode()
        self._decoder = msgspec.json.Decoder(_History)
        self._encoder = msgspec.json.Encoder()
        self._own = threading.local()
        self._writing = threading.Lock()

    def read(self, conversation_id: str) -> None:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        session: requests.Session = self._own.session
        scope_id = self._config["scope_id"]
        path = f"/v2/origin/custom/{scope_id}/chats/{conversation_id}/history"
        offset = 0
        while True:
            response = session.get(
                self._config["api_url"] + path,
                params={"offset": offset, "limit": PAGE_SIZE},
                headers=signed_headers(path, self._secret),
                timeout=30,
            )
            response.raise_for_status()
            if response.status_code == requests.codes.no_content:
                return
            messages = self._decoder.decode(response.content).messages
            with self._writing:
                for message in messages:
                    message["conversation_id"] = conversation_id
                    sys.stdout.buffer.write(self._encoder.encode(message))
                    sys.stdout.buffer.write(b"\n")
            if len(messages) < PAGE_SIZE:
                return
            offset += PAGE_SIZE


def main() -> None:
    """Read all conversations of a configuration."""
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    reader = _Reader(config)
    ids = config["conversation_ids"]
    threads = int(sys.argv[2])
    if threads == 1:
        for conversation_id in ids:
            reader.read(conversation_id)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(reader.read, ids):
            pass


if __name__ == "__main__":
    main()
