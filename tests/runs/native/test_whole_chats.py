"""Whether an answer holds a talk or its whole chat, the records are the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import ConversationStore, Sandbox, Terms
from tests.support.account import DAY, HOUR, SECOND
from tests.support.native import NativeAccount, said

if TYPE_CHECKING:
    from tests.support.tap import Output

MODES = pytest.mark.parametrize("whole_chat", [False, True])


def talks_of(*outputs: Output) -> dict[str, int]:
    return {
        row["message_id"]: row["talk_id"]
        for output in outputs
        for row in output.records_of("talk_messages")
    }


@MODES
def test_a_new_talk_of_a_chat_brings_its_own_messages_only(
    account: NativeAccount,
    whole_chat: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.crm.terms = Terms(whole_chat=whole_chat)
    account.open_talk(1, "a")
    old = [account.say(1), account.say(1, 3 * DAY)]
    account.now += HOUR
    first = account.run()
    account.now += 10 * DAY
    account.open_talk(2, "a")
    new = [account.say(2, 3 * SECOND), account.say(2)]
    account.now += SECOND

    second = account.run(first.state)

    assert sorted(said(second)) == sorted(new)
    assert talks_of(first, second) == {
        **dict.fromkeys(old, 1),
        **dict.fromkeys(new, 2),
    }


@MODES
def test_an_old_talk_that_turns_up_late_brings_what_is_its_own(
    account: NativeAccount,
    whole_chat: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.crm.terms = Terms(whole_chat=whole_chat)
    account.open_talk(1, "a")
    old = account.say(1)
    account.now += 30 * DAY
    account.open_talk(2, "a")
    new = account.say(2)
    account.now += SECOND
    account.crm.store.talks.listed_at_most = 1
    first = account.run(start_date="2025-11-01T00:00:00Z")
    account.now += 10 * DAY
    account.crm.store.reopen_talk(1, account.now // 1000)
    late = account.say(1)
    account.now += SECOND

    second = account.run(first.state)

    found = talks_of(first, second)
    assert found[new] == 2
    assert found[late] == 1
    assert old in found


@MODES
def test_a_visit_of_a_talk_brings_nothing_of_the_next_one(
    account: NativeAccount,
    whole_chat: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.crm.terms = Terms(whole_chat=whole_chat)
    account.open_talk(1, "a")
    account.say(1)
    account.now += SECOND
    first = account.run()
    account.now += HOUR // 2
    account.open_talk(2, "a")
    new = account.say(2)
    account.now += SECOND
    second = account.run(first.state)
    account.now += HOUR // 2

    third = account.run(second.state)

    assert said(second) == [new]
    assert 1 in account.talks_asked()[-2:]
    assert said(third) == []


@MODES
def test_a_talk_that_began_empty_brings_nothing_of_the_one_before(
    account: NativeAccount,
    whole_chat: bool,  # noqa: FBT001 (a parameter)
) -> None:
    account.crm.terms = Terms(whole_chat=whole_chat)
    account.open_talk(1, "a")
    account.say(1)
    account.now += 2 * DAY
    first = account.run()
    account.open_talk(2, "a")
    account.now += 2 * DAY
    second = account.run(first.state)
    new = account.say(2)
    account.now += 2 * DAY

    third = account.run(second.state)

    assert said(second) == []
    assert talks_of(third) == {new: 2}


STEPS = st.lists(
    st.tuples(st.sampled_from(["say", "open", "run"]), st.integers(0, 2)), max_size=14
)


@settings(max_examples=20)
@given(STEPS, st.booleans())
def test_each_message_is_written_once_with_its_talk(
    steps: list[tuple[str, int]],
    whole_chat: bool,  # noqa: FBT001 (drawn)
) -> None:
    with Sandbox(ConversationStore()) as sandbox:
        account = NativeAccount(sandbox)
        account.crm.terms = Terms(whole_chat=whole_chat)
        talks: dict[int, int] = {}
        expected: dict[str, int] = {}
        outputs: list[Output] = []
        state: Any = None
        for step, chat in [*steps, ("run", 0)]:
            # More than a look-back apart from what came before, and from a run.
            account.now += 2 * DAY
            if step == "run":
                outputs.append(account.run(state))
                state = outputs[-1].state
            elif step == "open" or chat not in talks:
                talks[chat] = max(talks.values(), default=0) + 1
                account.open_talk(talks[chat], f"c{chat}")
            else:
                expected[account.say(talks[chat])] = talks[chat]

    written = Counter(name for output in outputs for name in said(output))
    assert written == Counter(list(expected))
    assert talks_of(*outputs) == expected
