"""Talks are read by the rules of the history."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import (
    ACCOUNT_ID,
    BOT_AUTHOR,
    OWN_ORIGIN,
    ConversationStore,
    Faults,
    Sandbox,
    Terms,
    seeded_crm,
    seeded_store,
)
from tests.support.account import DAY, HOUR, START, WABA, names
from tests.support.native import NativeAccount, said
from tests.support.tap import run, wait_for_nothing

if TYPE_CHECKING:
    from tests.support.tap import Output

MINUTE = 60_000
MODES = pytest.mark.parametrize("whole_chat", [False, True])


def rows(output: Output) -> dict[str, dict[str, Any]]:
    return {row["message_id"]: row for row in output.records_of("talk_messages")}


@MODES
def test_three_settings_bring_every_message_as_it_was_served_once(
    whole_chat: bool,  # noqa: FBT001 (a parameter)
) -> None:
    store = seeded_store()
    crm = seeded_crm(store)
    with Sandbox(store, crm) as sandbox:
        sandbox.crm.terms = Terms(whole_chat=whole_chat)
        output = run(NativeAccount(sandbox).config())

    served = {
        message["id"]: (talk["talk_id"], message)
        for talk in crm.talks.all()
        for message in crm.messages.of([talk["talk_id"]])
    }
    assert served
    assert Counter(said(output)) == Counter(list(served))
    for message_id, row in rows(output).items():
        talk_id, message = served[message_id]
        assert (row["account_id"], row["talk_id"]) == (ACCOUNT_ID, talk_id)
        assert rebuilt(row) == json.loads(json.dumps(message), parse_float=Decimal)


def rebuilt(row: dict[str, Any]) -> dict[str, Any]:
    """Put a record's fields back where the CRM had them."""
    names = {"conversation_id": "chat_id", "message_id": "id", "direction": "type"}
    ours = {"account_id", "talk_id", "sent_at", "extra"}
    value = {names.get(k, k): v for k, v in row.items() if k not in ours}
    for path, item in (row["extra"] or {}).items():
        *above, name = path.split(".")
        inner = value
        for each in above:
            inner = inner[each]
        inner[name] = item
    return value


def test_a_message_has_its_time_with_milliseconds_and_a_zone(
    account: NativeAccount,
) -> None:
    account.open_talk(1, "a")
    at = account.now // 1000
    exact = account.say(1, sec_created_at=at * 1000 + 123)
    seconds = account.say(1, sec_created_at=at)
    without = account.say(1, sec_created_at=None)

    found = {name: row["sent_at"] for name, row in rows(account.run()).items()}

    whole = "2025-10-09T08:53:20.000+00:00"
    assert found == {
        exact: whole.replace("000+", "123+"),
        seconds: whole,
        without: whole,
    }


@MODES
def test_only_what_is_new_is_written(
    account: NativeAccount,
    whole_chat: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.crm.terms = Terms(whole_chat=whole_chat)
    account.open_talk(1, "a")
    account.say(1, MINUTE)
    first = account.run()
    account.now += HOUR
    new = account.say(1, MINUTE, author=BOT_AUTHOR)
    second = account.run(first.state)
    account.now += HOUR
    third = account.run(second.state)

    assert said(second) == [new]
    assert rows(second)[new]["direction"] == "outgoing"
    assert said(third) == []


def test_a_late_message_is_found_by_a_visit(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    account.say(1)
    first = account.run()
    account.now += 30 * 60_000
    late = account.say(1, 40 * 60_000, event=False)
    account.now += HOUR

    second = account.run(first.state)

    assert late in said(second)


def test_an_edited_message_is_written_again(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    name = account.say(1, text="before")
    first = account.run()
    account.crm.store.messages.update(name, text="after")
    account.now += 2 * HOUR

    second = account.run(first.state)

    assert [row["text"] for row in second.records_of("talk_messages")] == ["after"]


def test_a_talk_in_which_nothing_happens_is_not_asked_for(
    account: NativeAccount,
) -> None:
    for number in range(1, 21):
        account.open_talk(number, f"c{number}")
        account.say(number)
    first = account.run()
    account.now += 3 * DAY
    second = account.run(first.state)
    account.now += 3 * DAY
    account.sandbox.forget_requests()

    third = account.run(second.state)

    assert said(third) == []
    assert account.talks_asked() == []
    assert len(account.crm_requests()) <= 6


def test_a_changed_talk_costs_one_request(account: NativeAccount) -> None:
    for number in range(1, 101):
        account.open_talk(number, f"c{number}")
        account.say(number)
    state = account.run().state
    for _ in range(2):
        account.now += 3 * DAY
        state = account.run(state).state
    account.now += 3 * DAY
    new = [account.say(number) for number in range(1, 61)]
    account.sandbox.forget_requests()

    output = account.run(state)

    assert sorted(said(output)) == sorted(new)
    assert sorted(account.talks_asked()) == list(range(1, 61))
    others = len(account.crm_requests()) - 60
    # The search, the talks and their leads by fifty, and the rest of the CRM.
    assert others <= 1 + 2 + 2 + 4


def test_a_talk_is_asked_for_what_it_may_have_new(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    account.say(1)
    first = account.run()
    account.now += 10 * DAY
    account.say(1)
    account.sandbox.forget_requests()

    account.run(first.state)

    (target,) = account.crm_requests("/api/v4/talks/1/messages")
    begin = (START - DAY) // 1000
    assert f"filter%5Bcreated_at%5D%5Bfrom%5D={begin}" in target


@pytest.mark.parametrize("is_closed", [False, True])
def test_closing_a_talk_asks_for_no_message(
    account: NativeAccount,
    is_closed: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.open_talk(1, "a")
    account.say(1)
    first = account.run()
    account.now += 3 * DAY
    second = account.run(first.state)
    account.now += 3 * DAY
    if is_closed:
        account.crm.store.close_talk(1, account.now // 1000)
    account.sandbox.forget_requests()

    third = account.run(second.state)

    assert account.talks_asked() == []
    assert len(third.records_of("talks")) == is_closed


def test_messages_before_the_start_date_are_not_written(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    account.say(1, 3 * DAY)
    new = account.say(1)

    assert said(account.run(start_date="2025-10-08T00:00:00Z")) == [new]


def test_each_channel_is_read_through_one_endpoint(account: NativeAccount) -> None:
    account.open_talk(1, "a", origin=OWN_ORIGIN)
    own = account.message("a")
    account.open_talk(2, "b")
    other = account.say(2)

    output = account.run_with(account.with_channel())

    assert (names(output), said(output)) == ([own], [other])
    assert account.talks_asked() == [2]
    assert account.asked() == ["a"]


@pytest.mark.parametrize("given", [["waba"], '["waba"]'])
def test_only_the_channels_that_are_named_are_read(
    account: NativeAccount, given: object
) -> None:
    for number, origin in ((1, WABA), (2, "telegram")):
        account.open_talk(number, f"c{number}", origin=origin)
        account.say(number)

    account.run(native_channels=given)

    assert account.talks_asked() == [1]


@pytest.mark.parametrize("given", [None, False, "false"])
def test_without_the_setting_no_talk_is_read(
    account: NativeAccount, given: object
) -> None:
    account.open_talk(1, "a")
    account.say(1)

    output = account.run(native_channels=given)

    assert account.talks_asked() == []
    assert len(output.records_of("chat_events")) == 2


def test_a_channel_that_is_added_later_is_read_whole(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    name = account.say(1)
    first = account.run(native_channels=None)
    account.now += 10 * DAY

    second = account.run(first.state)

    assert said(second) == [name]


def test_two_talks_of_a_chat_have_their_own_messages(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    one = account.say(1)
    account.now += DAY
    account.open_talk(2, "a")
    two = account.say(2, 2_000)

    found = rows(account.run())

    assert {name: row["talk_id"] for name, row in found.items()} == {one: 1, two: 2}
    assert {row["conversation_id"] for row in found.values()} == {"a"}


@MODES
def test_where_no_event_tells_the_talk_is_the_one_that_began_last(
    account: NativeAccount,
    whole_chat: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.crm.terms = Terms(whole_chat=whole_chat)
    account.open_talk(1, "a")
    one = account.say(1, event=False)
    account.now += DAY
    account.open_talk(2, "a")
    two = account.say(2, 3_000, event=False)

    output = account.run()

    assert sorted(said(output)) == sorted([one, two])
    found = rows(output)

    assert {name: row["talk_id"] for name, row in found.items()} == {one: 1, two: 2}


@settings(
    max_examples=25,
)
@given(
    terms=st.builds(
        Terms,
        message_order=st.sampled_from(["mixed", "asc", "desc"]),
        message_seed=st.integers(0, 1000),
        message_milliseconds=st.booleans(),
        message_filter=st.booleans(),
        message_links=st.booleans(),
        whole_chat=st.booleans(),
    ),
    page=st.integers(1, 7),
    # What is sent in the second in which a run begins may come twice.
    ages=st.lists(st.integers(1, 5 * DAY // 1000), max_size=12),
)
def test_however_rows_arrive_the_records_are_the_same(
    terms: Terms, page: int, ages: list[int]
) -> None:
    with Sandbox(ConversationStore()) as sandbox:
        account = NativeAccount(sandbox)
        # A page that is short and has no link is the last one (inferred).
        account.crm.max_limit = page if terms.message_links else 250
        account.crm.terms = terms
        account.open_talk(1, "a")
        old = [account.say(1, age * 1000) for age in ages]
        first = account.run()
        account.now += HOUR
        new = [account.say(1, MINUTE), account.say(1, MINUTE)]
        second = account.run(first.state)

    assert Counter(said(first)) == Counter(old)
    assert Counter(said(second)) == Counter(new)


def test_with_faults_every_message_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_nothing(monkeypatch)
    store = seeded_store()
    crm = seeded_crm(store)
    faults = Faults(
        seed=5,
        server_error=0.05,
        reset_within=0.02,
        cut_json=0.02,
        too_many=0.02,
        retry_after=0,
    )
    with Sandbox(store, crm, faults=faults) as sandbox:
        output = run(NativeAccount(sandbox).config())

    served = {message["id"] for message in crm.messages.all()}
    assert Counter(said(output)) == Counter(served)


def test_they_can_be_had_without_any_other_stream(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    name = account.say(1)

    output = account.run_some(["talk_messages"])

    assert said(output) == [name]
    assert account.crm_requests("/api/v4/users") == []


def test_each_talk_is_one_shards(account: NativeAccount) -> None:
    for number in range(1, 21):
        account.open_talk(number, f"c{number}")
        account.say(number)

    halves = [said(account.run(shard=f"{number}/2")) for number in (1, 2)]

    assert all(halves)
    assert len({*halves[0], *halves[1]}) == len(halves[0] + halves[1]) == 20


def test_the_run_tells_how_many_were_written(account: NativeAccount) -> None:
    account.open_talk(1, "a")
    for _ in range(3):
        account.say(1)

    (with_them,) = account.run().records_of("runs")
    (without,) = account.run(native_channels=None).records_of("runs")

    assert (with_them["talk_messages"], without["talk_messages"]) == (3, None)
