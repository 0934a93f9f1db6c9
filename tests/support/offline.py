"""Runs a command in an image's files: read-only, offline, as another user.

    unshare --net --mount --pid --fork python -m tests.support.offline <<< '{...}'

It is a process of its own, because the namespaces are for it and what it starts. The
sandbox is started in it too, as nothing beyond its loopback can be reached.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox import OWN_ORIGIN, Sandbox, seeded_crm, seeded_store

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def main() -> None:
    """Read what to run, run it, and write what became of it as JSON."""
    given: dict[str, Any] = json.load(sys.stdin)
    _raise_loopback()
    root, volume = Path(given["root"]), Path(given["volume"])
    _mount("--make-rprivate", "/")
    _mount("--bind", str(root), str(root))
    _mount("--bind", str(volume), str(root / "data"))
    _mount("--rbind", "/dev", str(root / "dev"))
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("-o", "remount,ro,bind", str(root))
    store = seeded_store()
    with Sandbox(store, seeded_crm(store)) as sandbox:
        settings = {
            "API_URL": sandbox.url,
            "SCOPE_ID": sandbox.scope_id,
            "CHANNEL_SECRET": sandbox.secret,
            "CRM_URL": sandbox.url,
            "CRM_ACCESS_TOKEN": sandbox.crm_token,
            "CRM_ORIGINS": json.dumps([OWN_ORIGIN]),
            "REQUESTS_PER_SECOND": "0",
        }
        done = subprocess.run(
            given["command"],
            env={
                **{f"TAP_KOMMO_CHATS_{name}": text for name, text in settings.items()},
                **_of_airflow(sandbox),
                **given["environment"],
            },
            preexec_fn=lambda: _enter(root, given["folder"], given["user"]),
            capture_output=True,
            check=False,
            encoding="utf-8",
        )
        messages = sum(map(store.size, store.conversation_ids()))
    print(json.dumps([done.returncode, done.stdout + done.stderr, messages]))  # noqa: T201 (its answer)


def _of_airflow(sandbox: Sandbox) -> dict[str, str]:
    """Tell an Airflow of the same account, and of a file to load it into."""
    (one, *_) = sandbox.store.conversation_ids()
    kommo = {
        "conn_type": "generic",
        "password": sandbox.secret,
        "extra": {"north": {"api_url": sandbox.url}},
    }
    account = {"scope_id": sandbox.scope_id, "conversation_ids": [one]}
    return {
        "AIRFLOW_CONN_KOMMO": json.dumps(kommo),
        "AIRFLOW_CONN_KOMMO_WAREHOUSE": json.dumps(
            {"conn_type": "generic", "host": "/data/airflow.duckdb"}
        ),
        "AIRFLOW_VAR_KOMMO_ACCOUNTS": json.dumps({"north": account}),
    }


def _enter(root: Path, folder: str, user: int) -> None:
    os.chroot(root)
    os.chdir(folder)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def _mount(*arguments: str) -> None:
    subprocess.run(["/bin/mount", *arguments], check=True)


def _raise_loopback() -> None:
    """Let this namespace, which has no other network, talk to itself."""
    with socket.socket() as one:
        asked = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(one, _SIOCGIFFLAGS, asked)[:18])[1]
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | _IFF_UP))


if __name__ == "__main__":
    main()
