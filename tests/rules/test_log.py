"""The log tells nothing secret, and each of its lines is one."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
from singer_sdk.logging import ConsoleFormatter, StructuredFormatter
from singer_sdk.metrics import Metric, Point

from tap_kommo_chats import log

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "hush-hush"  # noqa: S105 (made up)
OURS = "tap-kommo-chats.chat_history"


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def handler(
    monkeypatch: pytest.MonkeyPatch, written: io.StringIO
) -> logging.StreamHandler[io.StringIO]:
    """The only handler that there is; it is guarded."""
    handler = logging.StreamHandler(written)
    handler.setFormatter(ConsoleFormatter())
    monkeypatch.setattr(logging, "lastResort", None)
    monkeypatch.setattr(log, "handlers", lambda: iter([handler]))
    log.guard_log()
    log.hide_in_log([SECRET])
    return handler


@pytest.fixture
def logger_of(handler: logging.Handler) -> Callable[[str], logging.Logger]:
    root = logging.RootLogger(logging.DEBUG)
    root.addHandler(handler)
    return logging.Manager(root).getLogger


@pytest.fixture
def ours(logger_of: Callable[[str], logging.Logger]) -> logging.Logger:
    return logger_of(OURS)


def test_a_secret_is_hidden_wherever_it_comes_from(
    ours: logging.Logger, written: io.StringIO
) -> None:
    ours.info(f"a {SECRET}")
    ours.debug("b %s", SECRET)
    ours.error("c %d", SECRET)
    try:
        fail(SECRET)
    except ValueError:
        ours.exception("d")

    assert SECRET not in written.getvalue()
    assert "| a ...\n" in written.getvalue()
    assert "| b ...\n" in written.getvalue()
    assert "| c %d\n" in written.getvalue()


def test_a_line_is_one_line(ours: logging.Logger, written: io.StringIO) -> None:
    ours.info("a\n2025-01-01 | INFO | %s\x1b[2J\u202e", "b\r\nc")

    (line,) = written.getvalue().splitlines()
    assert line.endswith(r"a\n2025-01-01 | INFO | b\r\nc\x1b[2J\u202e")


def test_a_traceback_is_set_in_and_quotes_nobody(
    ours: logging.Logger, written: io.StringIO
) -> None:
    try:
        fail("Bom dia\nforged")
    except ValueError:
        ours.exception("failed")

    line, *more = written.getvalue().splitlines()
    assert line.endswith("| failed")
    assert more[0] == "  Traceback (most recent call last):"
    assert all(each.startswith("  ") for each in more)
    assert more[-1] == "  ValueError"


@pytest.mark.parametrize(
    ("name", "level", "is_heard"),
    [
        (OURS, logging.DEBUG, True),
        ("urllib3.connectionpool", logging.DEBUG, True),
        ("singer_sdk.metrics", logging.INFO, True),
        ("singer_sdk.mapper", logging.DEBUG, False),
        ("fsspec.http", logging.DEBUG, False),
        ("botocore.auth", logging.INFO, False),
        ("sqlalchemy.engine.Engine", logging.INFO, False),
        ("asyncio", logging.ERROR, True),
        ("aiohttp.internal", logging.WARNING, False),
        ("aiohttp.internal", logging.ERROR, True),
        ("py.warnings", logging.WARNING, True),
    ],
)
def test_libraries_are_heard_from_a_warning_on(
    logger_of: Callable[[str], logging.Logger],
    written: io.StringIO,
    name: str,
    level: int,
    *,
    is_heard: bool,
) -> None:
    logger_of(name).log(level, "something")

    assert ("something" in written.getvalue()) is is_heard


def test_the_query_of_an_address_that_a_library_names_is_hidden(
    logger_of: Callable[[str], logging.Logger], written: io.StringIO
) -> None:
    logger = logger_of("asyncio")
    logger.error("<Response(https://host/list.txt?sig=of-another [403])>")
    logger_of("urllib3").debug('"GET /history?offset=0&limit=50 HTTP/1.1" 200')

    first, second = written.getvalue().splitlines()
    assert first.endswith("<Response(https://host/list.txt?... [403])>")
    assert second.endswith('"GET /history?... HTTP/1.1" 200')


def test_structured_lines_hide_what_others_do(
    handler: logging.StreamHandler[io.StringIO],
    ours: logging.Logger,
    written: io.StringIO,
) -> None:
    handler.setFormatter(StructuredFormatter())
    log.guard_log()
    log.hide_in_log([SECRET])

    ours.info("a %s", SECRET, extra={"more": SECRET})
    try:
        fail(SECRET)
    except ValueError:
        ours.exception("b\n")

    first, second = map(json.loads, written.getvalue().splitlines())
    assert first["message"] == "a ..."
    assert first["extra"]["more"] == "..."
    assert second["message"] == r"b\n"
    assert second["exception"]["type"] == "ValueError"
    assert second["exception"]["message"] == ""
    assert second["exception"]["traceback"]


def test_a_metric_stays_one(
    handler: logging.StreamHandler[io.StringIO],
    logger_of: Callable[[str], logging.Logger],
    written: io.StringIO,
) -> None:
    handler.setFormatter(StructuredFormatter())
    log.guard_log()

    point = Point("counter", Metric.RECORD_COUNT, 7, {"stream": "chat_history"})
    logger_of("singer_sdk.metrics").info("METRIC: %s", point)

    line = json.loads(written.getvalue())
    assert line["metric_info"]["value"] == 7
