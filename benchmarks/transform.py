"""How long the analysts' tables take, and how much memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from benchmarks.arena import BenchmarkError, measure
from benchmarks.table import Line, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.table import Scale

_ROOT = Path(__file__).resolve().parent.parent
_UTILITY = "dbt-duckdb"
_MESSAGES_OF_EACH = 20

# Two of five conversations are of an own channel, and each has two talks.
_MADE = """
CREATE TEMP TABLE said AS
SELECT
    number,
    number % {conversations} AS chat,
    number // {conversations} AS place,
    chat % 5 < 2 AS is_own,
    chat * 2 + place // 10 AS talk_id,
    hash(number) % 10 AS dice,
    'message-' || number || '-0000-4000-9000-000000000000' AS message_id,
    if(is_own, 'own-', 'native-') || chat || '-0000-4000-8000' AS conversation_id,
    TIMESTAMP '2024-01-01'
    + to_seconds(chat * 1200 + place * 977 * (1 + number % 7)) AS sent_at
FROM range({messages}) AS numbers (number);

CREATE TABLE chat_history AS
SELECT
    'channel_amojo' AS scope_id,
    conversation_id,
    message_id,
    sent_at,
    if(dice < 5, 'incoming', 'outgoing') AS direction,
    json_object(
        'id', if(dice < 5, 'customer-' || chat, 'user-' || chat % 50),
        'name', 'Somebody', 'phone', '+12025550100'
    ) AS sender,
    json_object('id', message_id, 'type', 'text', 'text', repeat('word ', 20))
        AS message
FROM said
WHERE is_own;

CREATE TABLE talk_messages AS
SELECT
    7::HUGEINT AS account_id,
    conversation_id,
    message_id,
    talk_id::HUGEINT AS talk_id,
    sent_at,
    if(dice < 5, 'incoming', 'outgoing') AS direction,
    'waba' AS origin,
    json_object(
        'id', 'author-' || chat,
        'type', CASE WHEN dice < 5 THEN 'external' WHEN dice < 7 THEN 'bot'
            ELSE 'internal' END,
        'name', 'Somebody',
        'user_id', if(dice >= 7, chat % 50 + 1, NULL)
    ) AS author,
    'text' AS message_type,
    repeat('word ', 20) AS text,
    if(dice = 9 AND number % 5 = 0, 'error', 'delivered') AS delivery_status
FROM said
WHERE NOT is_own;

CREATE TABLE chat_events AS
SELECT
    7::HUGEINT AS account_id,
    'event-' || number AS event_id,
    if(dice < 5, 'incoming', 'outgoing') || '_chat_message' AS type,
    date_trunc('second', sent_at)::TIMESTAMP AS happened_at,
    talk_id::HUGEINT AS talk_id,
    message_id,
    NULL::VARCHAR AS origin,
    5::HUGEINT AS contact_id,
    0::HUGEINT AS created_by
FROM said
UNION ALL
SELECT 7, 'closed-' || talk_id, 'talk_closed', max(sent_at) + INTERVAL 1 HOUR, talk_id,
    NULL, NULL, 5, 3
FROM said
GROUP BY talk_id;

CREATE TABLE talks AS
SELECT
    7::HUGEINT AS account_id,
    talk_id::HUGEINT AS talk_id,
    any_value(conversation_id) AS chat_id,
    'waba' AS origin,
    5::HUGEINT AS contact_id,
    'lead' AS entity_type,
    talk_id::HUGEINT AS entity_id,
    'closed' AS status,
    false AS is_in_work,
    0::HUGEINT AS rate,
    epoch(min(sent_at))::HUGEINT AS created_at,
    epoch(max(sent_at))::HUGEINT AS updated_at
FROM said
GROUP BY talk_id;

CREATE TABLE leads AS
SELECT
    account_id,
    talk_id AS lead_id,
    1::HUGEINT AS pipeline_id,
    142::HUGEINT AS status_id,
    talk_id % 50 + 1 AS responsible_user_id
FROM talks;

CREATE TABLE users AS
SELECT
    7::HUGEINT AS account_id,
    number + 1 AS user_id,
    'Agent ' || number AS name,
    'user-' || number AS amojo_id
FROM range(40) AS numbers (number);

CREATE TABLE accounts AS
SELECT 7::HUGEINT AS account_id, 'amojo' AS amojo_id, 'America/Sao_Paulo' AS timezone;

CREATE TABLE runs AS
SELECT
    'channel_amojo' AS scope_id,
    max(sent_at) + INTERVAL 1 HOUR AS run_started_at,
    '1/1' AS shard,
    'complete' AS outcome
FROM said;
"""
_CHANGE = """
INSERT INTO talk_messages
SELECT * REPLACE ('late-' || message_id AS message_id)
FROM talk_messages
WHERE talk_id % 2000 = 5
"""


def transform(folder: Path, scale: Scale) -> Iterator[Line]:
    """The tables of a million messages and of a tenth of them."""
    dbt = _installed()
    few, many = scale.transform // 10, scale.transform
    times = {}
    for messages in (few, many):
        database = folder / f"{messages}.duckdb"
        _make(database, messages)
        times[messages], peak_mb = _build(dbt, database, folder)
        built = _count(database)
        check(f"messages of {messages:,}", built, messages)
    yield Line(
        f"tables of {many:,} messages, from nothing: seconds, peak memory",
        f"{times[many]:.0f}, {peak_mb:,.0f} MB",
        "below 60, below 2,000 MB",
        times[many] < 60 and peak_mb < 2000,  # noqa: PLR2004 (the targets)
        f"{times[few]:.0f} s for {few:,}, most of it dbt's start",
    )
    nothing, _ = _build(dbt, database, folder)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{database}' AS made")
        connection.execute("USE made")
        connection.execute(_CHANGE)
    change, _ = _build(dbt, database, folder)
    yield Line(
        "the same again, with nothing new, with one conversation in 1,000 changed: "
        "seconds",
        f"{nothing:.0f}, {change:.0f}",
        "",
        met=True,
    )


def _installed() -> Path:
    """Let Meltano install dbt, and return the program."""
    meltano = Path(sys.executable).with_name("meltano")
    done = subprocess.run(
        [meltano, f"--env-file={os.devnull}", "install", _UTILITY],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
    )
    if done.returncode:
        raise BenchmarkError(done.stdout[-2000:])
    return _ROOT / ".meltano" / "utilities" / _UTILITY / "venv" / "bin" / "dbt"


def _make(database: Path, messages: int) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"ATTACH '{database}' AS made")
        connection.execute("USE made")
        connection.execute(
            _MADE.format(messages=messages, conversations=messages // _MESSAGES_OF_EACH)
        )


def _build(dbt: Path, database: Path, folder: Path) -> tuple[float, float]:
    env = shutil.which("env") or "env"
    return measure(
        [
            env,
            f"TARGET_DUCKDB_FILEPATH={database}",
            f"DBT_TARGET_PATH={folder / 'target'}",
            f"DBT_LOG_PATH={folder / 'logs'}",
            *(str(dbt), "build", "--exclude-resource-type=unit_test"),
            f"--project-dir={_ROOT / 'transform'}",
            f"--profiles-dir={_ROOT / 'transform' / 'profiles'}",
        ],
        folder / "build.txt",
        folder / "build-errors.txt",
    )


def _count(database: Path) -> int:
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM kommo_messages").fetchone()
    return int(found[0]) if found else 0
