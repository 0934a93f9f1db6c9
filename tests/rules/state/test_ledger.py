"""What a run knows of conversations, however many there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.records.conversations import Conversation, Entry, Outcome
from tap_kommo_chats.state.ledger import Ledger, Noted

RESIDENT = Path("/proc/self/statm")
TIMES = st.none() | st.integers(min_value=0, max_value=2**53)


def test_a_conversation_is_known_once_with_all_its_sources_in_order() -> None:
    ledger = Ledger()

    for source in ("sql", "file", "sql", "crm"):
        ledger.learn(Conversation("a", source))

    assert list(ledger.entries()) == [Entry("a", ("sql", "file", "crm"), None)]


@given(st.lists(TIMES, min_size=1))
def test_of_several_times_the_latest_is_known(times: list[int | None]) -> None:
    ledger = Ledger()
    known = [time for time in times if time is not None]

    for time in times:
        learned = ledger.learn(Conversation("a", "file", time))

    (entry,) = ledger.entries()
    assert entry == learned
    assert entry.last_activity_ms == max(known, default=None)


def test_learning_tells_what_became_of_a_conversation() -> None:
    ledger = Ledger()
    assert ledger.learn(Conversation("a", "file")).outcome is None

    ledger.note("a", Noted(Outcome.READ))

    assert ledger.learn(Conversation("a", "crm")).outcome is Outcome.READ


def test_learning_again_keeps_what_was_noted() -> None:
    ledger = Ledger()
    ledger.learn(Conversation("a", "file", 1))
    ledger.note("a", Noted(Outcome.FAILED, newest_ms=2, read_ms=3, error="no"))

    ledger.learn(Conversation("a", "crm", 4))

    (entry,) = ledger.entries()
    assert entry == Entry("a", ("file", "crm"), 4, Outcome.FAILED, 2, 3, "no")


def test_that_one_source_knows_of_a_message_is_not_forgotten() -> None:
    ledger = Ledger()
    told = [False, True, False]

    for has_messages in told:
        learned = ledger.learn(Conversation("a", "crm", None, has_messages))

    assert learned.has_messages
    assert ledger.entry("a") == learned
    assert list(ledger.entries()) == [learned]


def test_what_no_source_named_is_no_entry() -> None:
    ledger = Ledger()
    ledger.note("a", Noted(Outcome.READ))

    assert ledger.entry("a") is None


@pytest.mark.parametrize("outcome", Outcome)
def test_what_is_noted_is_known(outcome: Outcome) -> None:
    ledger = Ledger()
    for id_ in ("a", "b"):
        ledger.learn(Conversation(id_, "file"))

    ledger.note("a", Noted(outcome, newest_ms=0, read_ms=5, error="no"))

    assert list(ledger.entries()) == [
        Entry("a", ("file",), None, outcome, 0, 5, "no"),
        Entry("b", ("file",), None),
    ]


def test_what_is_noted_last_counts() -> None:
    ledger = Ledger()
    ledger.learn(Conversation("a", "file"))
    ledger.note("a", Noted(Outcome.FAILED, error="no"))

    ledger.note("a", Noted(Outcome.READ, newest_ms=2))

    (entry,) = ledger.entries()
    assert (entry.outcome, entry.newest_ms, entry.error) == (Outcome.READ, 2, None)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_id_is_kept_as_it_is(id_: str) -> None:
    ledger = Ledger()

    ledger.learn(Conversation(id_, "file"))

    assert [entry.conversation_id for entry in ledger.entries()] == [id_]


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1001, 2500])
def test_entries_are_all_conversations_in_the_order_they_were_named(
    number: int,
) -> None:
    ledger = Ledger()
    # Neither the order of the alphabet nor that of the numbers.
    named = [f"{position * 7919 % 2503}" for position in range(number)]

    for id_ in named:
        ledger.learn(Conversation(id_, "file"))

    assert [entry.conversation_id for entry in ledger.entries()] == named


def test_entries_of_which_there_is_nothing_to_tell_can_be_left_out() -> None:
    ledger = Ledger()
    for name in ("undecided", "unchanged", "read"):
        ledger.learn(Conversation(name, "file"))
    ledger.note("unchanged", Noted(Outcome.UNCHANGED, is_told=False))
    ledger.note("read", Noted(Outcome.READ))

    told = [entry.conversation_id for entry in ledger.entries(only_told=True)]

    assert told == ["undecided", "read"]


def test_entries_are_complete_though_others_change_meanwhile() -> None:
    ledger = Ledger()
    for number in range(2500):
        ledger.learn(Conversation(f"c{number}", "file"))

    seen = []
    for number, entry in enumerate(ledger.entries()):
        seen.append(entry.conversation_id)
        ledger.note(entry.conversation_id, Noted(Outcome.READ))
        # One that was seen and one that was not.
        ledger.learn(Conversation("c0", "crm", number))
        ledger.learn(Conversation("c2400", "crm", number))

    assert seen == [f"c{number}" for number in range(2500)]


def test_a_conversation_named_meanwhile_is_the_last_entry() -> None:
    ledger = Ledger()
    for number in range(1500):
        ledger.learn(Conversation(f"c{number}", "file"))

    seen = []
    for entry in ledger.entries():
        seen.append(entry.conversation_id)
        ledger.learn(Conversation("new", "crm"))

    assert seen == [*(f"c{number}" for number in range(1500)), "new"]


def test_what_is_noted_meanwhile_is_seen() -> None:
    ledger = Ledger()
    for number in range(2500):
        ledger.learn(Conversation(f"c{number}", "file"))
    entries = ledger.entries()
    next(entries)

    ledger.note("c2000", Noted(Outcome.EMPTY))

    outcomes = {entry.conversation_id: entry.outcome for entry in entries}
    assert outcomes["c2000"] is Outcome.EMPTY


def test_entries_can_be_gone_through_by_two_at_once() -> None:
    ledger = Ledger()
    for number in range(1500):
        ledger.learn(Conversation(f"c{number}", "file"))

    pairs = list(zip(ledger.entries(), ledger.entries(), strict=True))

    assert len(pairs) == 1500
    assert all(one == other for one, other in pairs)


MEASURE = """
from pathlib import Path
from tap_kommo_chats.records.conversations import Conversation, Entry, Outcome
from tap_kommo_chats.records.talks import Owner, read_talk
from tap_kommo_chats.state.ledger import Ledger, Noted
from tap_kommo_chats.state.seen_talks import SeenTalks

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

def fill(numbers):
    for number in numbers:
        id_ = f"30477717-9f3c-4d3f-8101-{number:012}"
        ledger.learn(Conversation(id_, "file", number))
        ledger.note(id_, Noted(Outcome.READ, newest_ms=number, read_ms=number))
        if number % 5 == 0:
            talk = {"talk_id": number + 1, "chat_id": id_, "more": "x" * 2000}
            seen.keep([read_talk(talk)])
            seen.note_owner(Owner("contact", number), [number + 1])
            seen.note_others([("waba", id_)])
    assert sum(1 for _ in ledger.entries()) == numbers.stop
    assert sum(1 for _ in seen.all()) == numbers.stop // 5

ledger, seen = Ledger(), SeenTalks()
fill(range(5_000))
before = resident()
fill(range(5_000, 100_000))
print(resident() - before)
"""


@pytest.mark.skipif(not RESIDENT.exists(), reason="only Linux tells how it is")
def test_memory_stays_flat_however_many_conversations_and_talks_there_are() -> None:
    # In a process of its own: what SQLite holds is not Python's, and memory that other
    # tests gave back could be used again.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, check=True, text=True
    )

    pages = int(done.stdout)
    # All of it is more than 50 MB.
    assert pages * 4096 < 8_000_000


UNOPENED = """
import resource
from pathlib import Path
from tap_kommo_chats.errors import RunError
from tap_kommo_chats.records.conversations import Conversation
from tap_kommo_chats.state.ledger import Ledger

ledger = Ledger()
files = len(list(Path("/proc/self/fd").iterdir())) - 1
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
try:
    for number in range(100_000):
        ledger.learn(Conversation(f"30477717-9f3c-4d3f-8101-{number:012}", "file"))
except RunError as error:
    print(error)
"""


@pytest.mark.skipif(not RESIDENT.exists(), reason="only Linux tells how it is")
def test_a_file_that_cannot_be_made_is_told_with_its_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNOPENED],
        capture_output=True,
        check=True,
        env={**os.environ, "SQLITE_TMPDIR": "/nowhere", "TMPDIR": str(tmp_path)},
        text=True,
    )

    assert done.stdout.startswith(f"What the run knows cannot be kept in {tmp_path} (")
