"""How the conversations of a run are summed up."""

from __future__ import annotations

from collections import Counter

from tap_kommo_chats.records.conversations import Outcome
from tap_kommo_chats.records.runs import SCHEMA
from tap_kommo_chats.run.tally import Tally


def test_each_number_has_a_column_of_the_table_of_runs() -> None:
    assert set(Tally().numbers()) <= set(SCHEMA["properties"])


def test_what_most_accounts_never_have_is_told_when_there_is_some() -> None:
    usual = Tally(Counter({Outcome.READ: 2}))
    seldom = Tally(Counter({Outcome.READ: 2, Outcome.GIVEN_UP: 3}))

    assert str(seldom) == f"{usual}, given up: 3"


def test_a_conversation_that_is_being_asked_for_is_not_done() -> None:
    asked = Tally(Counter({Outcome.READ: 1, Outcome.GONE: 2, Outcome.ASKED: 4}))

    assert asked.done == 3
