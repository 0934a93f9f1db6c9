"""Where programs are measured: a server in its own process, and one run of a program.

Linux counts a child's peak memory from the fork on, so a large parent would be taken
for a large child. So each program is the child of a small process made for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.workload import CHANNEL_SECRET, SCOPE_ID, conversation_id
from sandbox import CRM_TOKEN, OWN_ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

_ROOT = Path(__file__).resolve().parent.parent
_MODULE = (sys.executable, "-m")
_TAP = str(Path(sys.executable).with_name("tap-kommo-chats"))
# What is on the machine of whoever measures must not take part.
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("TAP_", "DLT_", "EXTRACT__", "SINGER_SDK_", "PYTHON"))
} | {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "WARNING"}


_LAUNCHER = """
import json, os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
# Only wait4 tells the memory of this one child.
_, status, usage = os.wait4(child.pid, 0)
with open(sys.argv[1], "w") as report:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss], report)
"""


class BenchmarkError(Exception):
    """A program did not do its work, so its time means nothing."""


@dataclass(frozen=True)
class Run:
    """One run of a program.

    Attributes:
        seconds: From its start to its end.
        peak_mb: The most memory it had, in millions of bytes.
        seen: What the server saw of it: `requests` to the Chats API, `seconds` from
            the first to the last, `refused`, `most_in_a_second`; `crm_requests` and
            `crm_seconds`; and `messages` there are.
        output: What it wrote to its standard output.
    """

    seconds: float
    peak_mb: float
    seen: dict[str, float]
    output: Path

    @property
    def requests(self) -> int:
        """How many requests the program made to the Chats API."""
        return int(self.seen["requests"])

    @property
    def crm_requests(self) -> int:
        """How many requests it made to the CRM."""
        return int(self.seen["crm_requests"])

    def messages(self) -> Iterator[dict[str, Any]]:
        """Read the messages of a tap's output, and not the records beside them."""
        with self.output.open("rb") as lines:
            for line in lines:
                if _is_message(line):
                    yield json.loads(line)["record"]

    def count_messages(self) -> int:
        """Count the messages of a tap's output."""
        with self.output.open("rb") as lines:
            return sum(map(_is_message, lines))

    def count_lines(self) -> int:
        """Count the lines of the output of a program that writes nothing else."""
        with self.output.open("rb") as lines:
            return sum(1 for _ in lines)

    def count_records(self) -> int:
        """Count the records of all streams in a tap's output."""
        with self.output.open("rb") as lines:
            return sum(b'"RECORD"' in line[:60] for line in lines)

    def state(self) -> dict[str, Any]:
        """Read the last state of a tap's output."""
        last = b""
        with self.output.open("rb") as lines:
            for line in lines:
                if b'"STATE"' in line[:200]:
                    last = line
        value: dict[str, Any] = json.loads(last)["value"]
        return value


def _is_message(line: bytes) -> bool:
    # Other streams have records too, and messages may quote anything further on.
    head = line[:60]
    return b'"RECORD"' in head and b'"chat_history"' in head


class Arena:
    """A server with conversations, and programs that read them. A context manager."""

    def __init__(  # noqa: PLR0913 (each one is a scenario's own)
        self,
        folder: Path,
        conversations: int,
        *,
        length: int | None = None,
        mean: float | None = None,
        latency: float = 0.0,
        allowed: int = 0,
    ) -> None:
        """Say what the server is to be like; `with` starts it.

        Args:
            folder: Where configurations and outputs go.
            conversations: How many conversations there are.
            length: How many messages each has; None for a spread of lengths.
            mean: The mean of that spread, if not the usual one.
            latency: Seconds between a request and its answer.
            allowed: Requests a second beyond which the server refuses; 0 for no limit.
        """
        self._folder = folder
        self._ids = [conversation_id(number) for number in range(conversations)]
        self._command = [
            *(*_MODULE, "benchmarks.server"),
            *("--conversations", str(conversations)),
            *("--latency", str(latency)),
            *("--allowed", str(allowed)),
            *(("--length", str(length)) if length is not None else ()),
            *(("--mean", str(mean)) if mean is not None else ()),
        ]
        self._server: subprocess.Popen[str]
        self._url: str

    def __enter__(self) -> Self:
        """Start the server."""
        self._server = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None  # noqa: S101 (for mypy)
        self._url = f"http://127.0.0.1:{int(self._server.stdout.readline())}"
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self._server.communicate()

    @property
    def crm(self) -> dict[str, Any]:
        """The settings of the tap that let it ask the CRM."""
        return {
            "crm_url": self._url,
            "crm_access_token": CRM_TOKEN,
            "crm_origins": [OWN_ORIGIN],
        }

    def add(
        self, conversations: int, messages: int, since_ms: int | None = None
    ) -> None:
        """Let new messages arrive.

        Args:
            conversations: In how many conversations.
            messages: How many in each.
            since_ms: The beginning of the day on which they arrive, in milliseconds
                since 1970, and the CRM tells of them; None for soon after the others,
                and the CRM tells of nothing.
        """
        since = "" if since_ms is None else f"&since_ms={since_ms}"
        self._ask(f"add?conversations={conversations}&messages={messages}{since}")

    def tap(
        self,
        state: dict[str, Any] | None = None,
        conversations: int | None = None,
        only: str | None = None,
        **settings: object,
    ) -> Run:
        """Run this project's tap.

        Args:
            state: The state to start from.
            conversations: How many conversations it is told of; None for all.
            only: The one stream that is selected; None for all.
            **settings: Settings of the tap beside the ones it needs.
        """
        options = {"requests_per_second": 0, **settings}
        command = [_TAP, "--config", self._config(conversations, options)]
        if state is not None:
            command += ["--state", self._write("state.json", state)]
        if only is not None:
            command += ["--catalog", self._catalog(command, only)]
        return self._run(command)

    def bare(self, threads: int) -> Run:
        """Run the bare loop.

        Args:
            threads: How many threads it reads with.
        """
        program = (*_MODULE, "benchmarks.bare")
        return self._run([*program, self._config(None, {}), str(threads)])

    def template(self) -> Run:
        """Run the tap that the SDK's template gives."""
        program = (*_MODULE, "benchmarks.template_tap")
        return self._run([*program, "--config", self._config(None, {})])

    def dlt(self) -> Run:
        """Run dlt, from nothing."""
        program = (*_MODULE, "benchmarks.dlt_source")
        pipelines = self._folder / f"dlt-{time.monotonic_ns()}"
        return self._run([*program, self._config(None, {}), str(pipelines)])

    def _config(self, conversations: int | None, settings: dict[str, object]) -> str:
        config = {
            "api_url": self._url,
            "scope_id": SCOPE_ID,
            "channel_secret": CHANNEL_SECRET,
            "conversation_ids": self._ids[:conversations],
            **settings,
        }
        return self._write("config.json", config)

    def _catalog(self, command: Sequence[str], only: str) -> str:
        found = subprocess.run(
            [*command, "--discover"], capture_output=True, check=True, env=_ENVIRONMENT
        )
        catalog = json.loads(found.stdout)
        streams = [each for each in catalog["streams"] if each["stream"] == only]
        return self._write("catalog.json", {"streams": streams})

    def _write(self, name: str, content: object) -> str:
        path = self._folder / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def _run(self, command: Sequence[str]) -> Run:
        self._ask("reset")
        output = self._folder / "output.jsonl"
        log = self._folder / "log.txt"
        seconds, peak_mb = measure(command, output, log)
        seen = json.loads(self._ask("stats"))
        return Run(seconds, peak_mb, seen, output)

    def _ask(self, what: str) -> bytes:
        # Always http and this machine: the URL is the server's own.
        with urllib.request.urlopen(f"{self._url}/_bench/{what}") as answer:  # noqa: S310
            body: bytes = answer.read()
        return body


def measure(command: Sequence[str], output: Path, log: Path) -> tuple[float, float]:
    """Run a program to its end.

    Args:
        command: The program and its arguments.
        output: Where its standard output goes.
        log: Where its standard error goes.

    Returns:
        The seconds it took, and its peak memory in millions of bytes.

    Raises:
        BenchmarkError: If it failed.
    """
    report = log.with_suffix(".json")
    with output.open("wb") as out, log.open("wb") as errors:
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-SEc", _LAUNCHER, str(report), *command],
            check=True,
            cwd=_ROOT,
            env=_ENVIRONMENT,
            stdout=out,
            stderr=errors,
        )
        seconds = time.perf_counter() - started
    code, peak = json.loads(report.read_text())
    if code:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        message = f"{' '.join(command)} ended with {code}:\n{tail}"
        raise BenchmarkError(message)
    # macOS counts bytes, Linux thousands of them.
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, peak * unit / 1e6
