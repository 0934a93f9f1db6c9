"""`--test`: a record of each stream, few requests, and a log that looks good."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import OWN_ORIGIN, Sandbox, seeded_crm, seeded_store
from tap_kommo_chats.tap import STREAMS
from tests.support.command import tap, told
from tests.support.tap import Output, config_for, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUESTS_AT_MOST = 12
BAD = (" | WARNING ", " | ERROR ", " | CRITICAL ", "unhandled", "abort", "Traceback")


@pytest.fixture
def account() -> Iterator[Sandbox]:
    store = seeded_store()
    with Sandbox(store, seeded_crm(store)) as sandbox:
        yield sandbox


def config_of(account: Sandbox) -> dict[str, Any]:
    return {
        **config_for(account, account.store.conversation_ids()[:3]),
        "crm_url": account.url,
        "crm_access_token": account.crm_token,
        "crm_origins": [OWN_ORIGIN],
        "native_channels": True,
    }


def counted(stdout: str) -> Counter[str]:
    output = Output(tuple(stdout.splitlines()))
    return Counter(m["stream"] for m in output.messages if m["type"] == "RECORD")


def test_it_reads_one_record_of_each_stream_in_a_dozen_requests(
    account: Sandbox, tmp_path: Path
) -> None:
    done = tap("--test", config=config_of(account), folder=tmp_path)

    assert done.returncode == 0
    assert counted(done.stdout) == {kind.shape.stream: 1 for kind in STREAMS}
    assert len(account.requests) <= REQUESTS_AT_MOST


def test_of_a_list_it_reads_one_page(seeded_sandbox: Sandbox, tmp_path: Path) -> None:
    (longest,) = [
        id_
        for id_ in seeded_sandbox.store.conversation_ids()
        if seeded_sandbox.store.size(id_) == 1200
    ]
    config = config_for(seeded_sandbox, [longest])

    done = tap("--test", config=config, folder=tmp_path)

    assert counted(done.stdout)["chat_history"] == 1
    # Its thread may have read ahead as far as there is room, and have one in hand.
    assert len(seeded_sandbox.requests) <= 4


def test_of_a_good_configuration_its_log_looks_good(
    account: Sandbox, tmp_path: Path
) -> None:
    done = tap("--test", config=config_of(account), folder=tmp_path)

    assert not [
        line for line in done.stderr.splitlines() if any(b in line for b in BAD)
    ]


def test_a_run_that_goes_on_from_its_state_misses_nothing(
    account: Sandbox, tmp_path: Path
) -> None:
    config = config_of(account)
    done = tap("--test", config=config, folder=tmp_path)
    state = Output(tuple(done.stdout.splitlines())).state

    later, whole = run(config, state), run(config)

    for stream in (kind.shape.stream for kind in STREAMS):
        assert len(later.records_of(stream)) == len(whole.records_of(stream))


def test_what_a_run_could_not_read_fails_the_test_in_one_line(
    account: Sandbox, tmp_path: Path
) -> None:
    account.crm.terms = replace(account.crm.terms, addon=False)

    done = tap("--test", config=config_of(account), folder=tmp_path)

    assert told(done).startswith(
        "Not everything was delivered: talk_messages could not be read: "
    )
