"""No secret is in any line that the command writes, at any level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from aiohttp import web

from tests.support.command import tap
from tests.support.tap import config_for

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox, SeenRequest
    from tests.support.postgres import PostgresServer

A = "30477717-9f3c-4d3f-8101-60327e14dc48"
SIGNATURE = "hush/hush+hush=="
TOKEN = "whisper-whisper"  # noqa: S105 (made up)
SIGNED = f"list.txt?X-Amz-Signature={quote(SIGNATURE, safe='')}&token={TOKEN}"
STRUCTURED = """
version: 1
disable_existing_loggers: false
formatters:
  structured: {"()": singer_sdk.logging.StructuredFormatter}
handlers:
  console:
    class: logging.StreamHandler
    formatter: structured
    stream: ext://sys.stderr
root: {level: DEBUG, handlers: [console]}
"""


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    """Lists conversations at an address that is signed."""
    sandbox.store.add(A, {"timestamp": 1, "message": {"id": "m"}})
    return config_for(sandbox, [A]) | {
        "conversations_file": f"{sandbox.url}/lists/{SIGNED}"
    }


def serves_list(sandbox: Sandbox, status: int) -> None:
    def answer(seen: SeenRequest) -> web.Response | None:
        if seen.target.startswith("/lists/"):
            return web.Response(status=status, text=A)
        return None

    sandbox.answer = answer


def assert_no_secret(sandbox: Sandbox, log: str) -> None:
    assert "DEBUG" in log or '"debug"' in log
    for part in ("hush", "whisper", "Amz-Signature", sandbox.secret):
        assert part not in log


@pytest.mark.parametrize("name", ["TAP_KOMMO_CHATS_LOGLEVEL", "LOGLEVEL"])
def test_a_signed_address_is_not_shown_when_it_is_read(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path, name: str
) -> None:
    serves_list(sandbox, 200)

    done = tap(config=config, folder=tmp_path, loglevel="", env={name: "DEBUG"})

    assert done.returncode == 0
    assert any("Amz-Signature=hush" in seen.target for seen in sandbox.requests)
    assert_no_secret(sandbox, done.stderr)


@pytest.mark.parametrize("status", [403, 500])
def test_a_signed_address_is_not_shown_when_it_is_refused(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path, status: int
) -> None:
    serves_list(sandbox, status)

    done = tap(config=config, folder=tmp_path, loglevel="DEBUG")

    assert done.returncode == 1
    assert_no_secret(sandbox, done.stderr)


def test_a_signed_address_is_not_shown_when_nobody_is_there(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path
) -> None:
    config["conversations_file"] = f"http://user:{TOKEN}@127.0.0.1:1/{SIGNED}"

    done = tap(config=config, folder=tmp_path, loglevel="DEBUG")

    assert done.returncode == 1
    assert_no_secret(sandbox, done.stderr)


def test_a_log_that_the_operator_set_up_shows_no_secret_either(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path
) -> None:
    serves_list(sandbox, 403)
    path = tmp_path / "log.yaml"
    path.write_text(STRUCTURED, encoding="utf-8")

    done = tap(config=config, folder=tmp_path, env={"SINGER_SDK_LOG_CONFIG": str(path)})

    assert done.returncode == 1
    assert '"message":' in done.stderr
    assert_no_secret(sandbox, done.stderr)


@pytest.mark.parametrize(
    ("password", "more"),
    [
        ("hush@hush", ""),
        ("whisper@hush/whisper", ""),
        (quote("hush@hush", safe=""), ""),
        ("x", "?password=hush-hush"),
        ("x", "?sslpassword=hush-hush&sslmode=disable"),
        ("x", "?hush=whisper"),
        ("x", "?options=-c%20hush%3Dwhisper"),
    ],
)
def test_a_password_of_the_database_is_not_shown_when_it_cannot_be_asked(
    sandbox: Sandbox,
    postgres: PostgresServer,
    tmp_path: Path,
    password: str,
    more: str,
) -> None:
    place = f"{postgres.host}:{postgres.port}/postgres"
    config = config_for(sandbox, [A]) | {
        "conversations_sql_url": f"postgresql://kommo:{password}@{place}{more}",
        "conversations_sql_query": "SELECT 1",
    }

    done = tap(config=config, folder=tmp_path, loglevel="DEBUG")

    assert done.returncode == 1
    assert "conversations_sql_url" in done.stderr
    assert_no_secret(sandbox, done.stderr)


def test_rows_of_the_database_are_not_shown(
    sandbox: Sandbox, postgres: PostgresServer, tmp_path: Path
) -> None:
    sandbox.store.add(A, {"timestamp": 1, "message": {"id": "m"}})
    query = f"SELECT '{A}' AS conversation_id, 'hush' || '-hush' AS title"
    config = config_for(sandbox, [A]) | {
        "conversations_sql_url": postgres.url("postgres"),
        "conversations_sql_query": query,
    }

    done = tap(config=config, folder=tmp_path, loglevel="DEBUG")

    assert done.returncode == 0
    assert_no_secret(sandbox, done.stderr)
