"""Parts of a large account: together they are the whole, each with its own state."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import OWN_ORIGIN, Sandbox, seeded_crm
from tap_kommo_chats.sharding import Shard
from tests.support.tap import Output, config_for, run

if TYPE_CHECKING:
    from collections.abc import Iterable


def run_shards(
    config: dict[str, Any], of: int, states: list[dict[str, Any]] | None = None
) -> list[Output]:
    return [
        run({**config, "shard": f"{number}/{of}"}, states[number - 1] if states else {})
        for number in range(1, of + 1)
    ]


def keys(outputs: Iterable[Output]) -> Counter[tuple[str, str]]:
    return Counter(key for output in outputs for key in output.keys)


def chat_state(output: Output) -> dict[str, Any]:
    state: dict[str, Any] = output.state["bookmarks"]["chat_history"]
    return state


def test_all_shards_together_are_an_unsharded_run(seeded_sandbox: Sandbox) -> None:
    config = config_for(seeded_sandbox)
    whole = run(config)

    shards = run_shards(config, 8)

    assert keys(shards) == keys([whole])
    states = [chat_state(shard)["conversations"] for shard in shards]
    assert sum(map(len, states)) == len(chat_state(whole)["conversations"])
    assert all(
        0 < len(state) < len(chat_state(whole)["conversations"]) // 4
        for state in states
    )


def test_each_conversation_is_asked_for_by_one_shard(seeded_sandbox: Sandbox) -> None:
    run(config_for(seeded_sandbox))
    unsharded = Counter(r.conversation_id for r in seeded_sandbox.requests)
    seeded_sandbox.forget_requests()

    run_shards(config_for(seeded_sandbox), 8)

    assert Counter(r.conversation_id for r in seeded_sandbox.requests) == unsharded


def test_shards_that_find_their_conversations_in_the_crm_are_the_whole_too(
    seeded_sandbox: Sandbox,
) -> None:
    whole = run(config_for(seeded_sandbox))
    store = seeded_sandbox.store
    with Sandbox(store, seeded_crm(store)) as sandbox:
        config = config_for(sandbox, ["unused"])
        del config["conversation_ids"]
        config |= {
            "crm_url": sandbox.url,
            "crm_access_token": sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
        }

        shards = run_shards(config, 4)

        assert keys(shards) == keys([whole])
        talks = [t["talk_id"] for s in shards for t in s.records_of("talks")]
        assert sorted(talks) == sorted(
            t["talk_id"] for t in sandbox.crm.store.talks.all()
        )


def test_a_shard_goes_on_from_its_own_state(seeded_sandbox: Sandbox) -> None:
    config = config_for(seeded_sandbox)
    first = run_shards(config, 4)

    second = run_shards(config, 4, [output.state for output in first])

    assert keys(second) == Counter()


@pytest.mark.parametrize(("before", "after"), [(1, 8), (4, 8), (2, 6)])
def test_more_shards_read_nothing_again_when_each_gets_the_state_of_the_one_it_was_part_of(  # noqa: E501 (the rule)
    seeded_sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    before: int,
    after: int,
) -> None:
    config = config_for(seeded_sandbox)
    states = [output.state for output in run_shards(config, before)]
    caplog.clear()
    caplog.set_level(logging.WARNING)

    shards = run_shards(config, after, [states[n % before] for n in range(after)])

    assert keys(shards) == Counter()
    for number, shard in enumerate(shards, start=1):
        assert f"the run is of shard {number}/{after}: " in caplog.text
        assert "owed" not in chat_state(shard)
    assert "read whole" not in caplog.text


def test_a_shard_with_the_state_of_another_reads_its_own_and_says_so(
    seeded_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(seeded_sandbox)
    first, second = run_shards(config, 2)
    caplog.clear()

    swapped = run({**config, "shard": "2/2"}, first.state)

    assert keys([swapped]) == keys([second])
    assert (
        "The state is of shard 1/2 and the run is of shard 2/2: 0 bookmark(s) are kept"
        in caplog.text
    )
    assert "that it does not know are read whole" in caplog.text


def test_fewer_shards_read_what_the_given_state_does_not_know_and_say_so(
    seeded_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(seeded_sandbox)
    first, second = run_shards(config, 2)
    caplog.clear()

    whole = run(config, first.state)

    assert keys([whole]) == keys([second])
    assert "the run is of shard 1/1" in caplog.text
    assert "shard" not in chat_state(whole)


def test_a_run_without_a_state_says_that_it_reads_everything(
    seeded_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = {**config_for(seeded_sandbox), "shard": "3/8"}
    line = "There is no state: every conversation is read from its beginning"

    first = run(config)
    assert line in caplog.text
    caplog.clear()
    run(config, first.state)

    assert line not in caplog.text


def test_a_shard_of_one_is_the_whole(seeded_sandbox: Sandbox) -> None:
    config = config_for(seeded_sandbox)
    whole = run(config)

    assert keys([run({**config, "shard": "1/1"}, whole.state)]) == Counter()


def test_a_state_without_bookmarks_hides_nothing_from_another_shard(
    sandbox: Sandbox,
) -> None:
    config = config_for(sandbox, ["unused"])
    del config["conversation_ids"]
    config |= {
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }
    sandbox.crm.store.talks.add(
        1, "c3", created_at=1_700_000_000, updated_at=1_700_000_000
    )
    sandbox.store.add_conversation("c3")
    sandbox.store.add_newest("c3", {"message": {"id": "m", "type": "text"}})
    assert not Shard(1, 2).holds("c3")
    nothing = run({**config, "shard": "1/2"})

    assert len(run(config, nothing.state).records) == 1


def test_what_another_shard_owes_is_left_out_too(sandbox: Sandbox) -> None:
    sandbox.store.add_conversation("c3")
    owed = dict.fromkeys(("c3", "c4"), 0)
    state = {
        "bookmarks": {
            "chat_history": {"conversations": {}, "read_since": 1, "owed": owed}
        }
    }

    output = run({**config_for(sandbox, ["c3"]), "shard": "2/2"}, state)

    assert [Shard(2, 2).holds(name) for name in owed] == [True, False]
    assert "owed" not in chat_state(output)
