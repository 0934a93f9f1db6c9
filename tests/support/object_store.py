"""An object store on this machine, which is asked as Amazon's S3 is."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import requests

from tests.support.airflow import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
_HOST = "127.0.0.1"
_READY_SECONDS = 120
_ANSWER_SECONDS = 30
_STOP_SECONDS = 10
_HEADERS = {
    "Content-Type": "application/octet-stream",
    # Of anybody: it looks at no signature, but gives nothing away without one.
    "Authorization": "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/"
    "aws4_request, SignedHeaders=host, Signature=any",
}


class ObjectStoreError(Exception):
    """The store did not start."""


@dataclass(frozen=True)
class ObjectStore:
    """A store that runs.

    Attributes:
        url: Where it is asked.
    """

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What leads a program there that knows Amazon's S3. It takes any key."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def make_bucket(self, bucket: str) -> None:
        """Make an empty bucket."""
        self._ask("PUT", bucket)

    def put(self, bucket: str, name: str, content: str) -> None:
        """Write an object."""
        self._ask("PUT", f"{bucket}/{name}", content)

    def get(self, bucket: str, name: str) -> str:
        """Read an object."""
        return self._ask("GET", f"{bucket}/{name}")

    def names(self, bucket: str) -> set[str]:
        """Return the names of all objects of a bucket, of which there are few."""
        return set(re.findall(r"<Key>([^<]+)</Key>", self._ask("GET", bucket)))

    def _ask(self, method: str, path: str, content: str = "") -> str:
        answer = requests.request(
            method,
            f"{self.url}/{path}",
            data=content.encode(),
            headers=_HEADERS,
            timeout=_ANSWER_SECONDS,
        )
        answer.raise_for_status()
        return answer.text


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Run a store that keeps all in memory.

    Args:
        folder: Gets its log.

    Raises:
        ObjectStoreError: If it does not start in time.
    """
    port = free_port()
    log = folder / "object-store.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                *(Path(sys.executable).with_name("uv"), "run", "--quiet", "--isolated"),
                *("--locked", "--only-group=object-store"),
                *("moto_server", f"--host={_HOST}", f"--port={port}"),
            ],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    store = ObjectStore(f"http://{_HOST}:{port}")
    try:
        _wait_until_it_answers(store, process, log)
        yield store
    finally:
        _stop(process)


def _wait_until_it_answers(
    store: ObjectStore, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not _answers(store):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ObjectStoreError(log.read_text(encoding="utf-8"))
        time.sleep(0.1)


def _answers(store: ObjectStore) -> bool:
    with suppress(requests.RequestException):
        store.names("")
        return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop uv, and the server that it started."""
    started = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    for each in started:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    process.wait(_STOP_SECONDS)
    psutil.wait_procs(started, _STOP_SECONDS)
