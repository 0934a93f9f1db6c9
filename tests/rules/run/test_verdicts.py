"""Whose failure it is, and what it means that there is nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tap_kommo_chats.errors import (
    ConversationError,
    RefusedError,
    SilentError,
    UnreachableError,
)
from tap_kommo_chats.run.verdicts import (
    FAILED_AT_MOST,
    IN_A_ROW_AT_MOST,
    PATIENCE_MS,
    REFUSED_AT_MOST,
    WITNESSES_AT_MOST,
    Nothing,
    Verdicts,
    is_out_of_patience,
    trouble_of,
    what_nothing_means,
)
from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.layout import Trouble

RUN = 1_760_000_000_000
ADVICE = "check channel_secret"

FORBIDDEN = RefusedError("a", "it is forbidden", 403, ADVICE)
NOT_FOUND = RefusedError("a", "it is not found", 404)
UNREACHABLE = UnreachableError("a: no answer")
IN_TROUBLE = ConversationError("a: 502")


def verdicts(*errors: ConversationError, answered: bool = False) -> Verdicts:
    """What is known after some conversations failed for the first time."""
    found = Verdicts()
    if answered:
        found.answer()
    for error in errors:
        found.fail(error, failed_before=False)
    return found


def stopped(found: Verdicts, *, has_witness: bool = False) -> bool:
    return found.everyones(has_witness=has_witness) is not None


# What stops a run


@pytest.mark.parametrize("has_witness", [False, True])
def test_three_that_are_forbidden_while_none_is_answered_are_no_ones_own_fault(
    *, has_witness: bool
) -> None:
    two = [FORBIDDEN] * (REFUSED_AT_MOST - 1)

    assert not stopped(verdicts(*two), has_witness=has_witness)
    three = verdicts(*two, FORBIDDEN)
    assert three.everyones(has_witness=has_witness) == ADVICE


def test_what_else_fails_before_does_not_make_them_someones_own() -> None:
    assert stopped(verdicts(FORBIDDEN, NOT_FOUND, FORBIDDEN, NOT_FOUND, FORBIDDEN))


def test_three_that_are_not_found_stop_no_run() -> None:
    assert not stopped(verdicts(*[NOT_FOUND] * (FAILED_AT_MOST - 1)))


def test_once_one_was_answered_a_few_that_are_forbidden_stop_no_run() -> None:
    refused = [FORBIDDEN] * (IN_A_ROW_AT_MOST - 1)

    assert not stopped(verdicts(*refused, answered=True))


@pytest.mark.parametrize("error", [FORBIDDEN, UNREACHABLE], ids=["403", "no answer"])
def test_twenty_in_a_row_stop_a_run(error: ConversationError) -> None:
    assert stopped(verdicts(*[error] * IN_A_ROW_AT_MOST, answered=True))


@pytest.mark.parametrize("error", [NOT_FOUND, IN_TROUBLE], ids=["404", "502"])
def test_what_fails_in_another_way_breaks_the_row(error: ConversationError) -> None:
    refused = [FORBIDDEN] * (IN_A_ROW_AT_MOST - 1)

    assert not stopped(verdicts(*refused, error, *refused, answered=True))


def test_an_answer_breaks_the_row() -> None:
    found = verdicts(*[UNREACHABLE] * (IN_A_ROW_AT_MOST - 1), answered=True)

    found.answer()
    found.fail(UNREACHABLE, failed_before=False)

    assert not stopped(found)


def test_fifty_that_fail_in_any_way_while_none_is_answered_stop_a_run() -> None:
    some = [NOT_FOUND, IN_TROUBLE] * (FAILED_AT_MOST // 2)

    assert not stopped(verdicts(*some[1:]))
    assert stopped(verdicts(*some))
    assert not stopped(verdicts(*some, answered=True))


@pytest.mark.parametrize("error", [FORBIDDEN, UNREACHABLE, NOT_FOUND])
def test_those_that_failed_before_say_nothing_of_the_others(
    error: ConversationError,
) -> None:
    found = verdicts(answered=True)
    for _ in range(100):
        found.fail(error, failed_before=True)

    assert not stopped(found)


def test_a_witness_is_heard_before_a_run_is_stopped() -> None:
    found = verdicts(*[NOT_FOUND] * FAILED_AT_MOST)
    assert not stopped(found, has_witness=True)

    for _ in range(WITNESSES_AT_MOST):
        assert found.wants_witness
        found.call_witness()
        found.fail(NOT_FOUND, failed_before=False)

    assert not found.wants_witness
    assert stopped(found, has_witness=True)


def doubt(found: Verdicts) -> tuple[bool, bool]:
    return found.wants_witness, found.goes_alone


def test_a_witness_that_is_answered_ends_the_doubt() -> None:
    found = verdicts(*[FORBIDDEN] * IN_A_ROW_AT_MOST, answered=True)
    assert doubt(found) == (True, True)

    found.call_witness()
    found.answer()

    assert doubt(found) == (False, False)
    assert not stopped(found)
    for _ in range(IN_A_ROW_AT_MOST):
        found.fail(FORBIDDEN, failed_before=False)
    assert doubt(found) == (True, True)


# The order


def test_nothing_needs_a_witness_before_something_failed() -> None:
    assert not verdicts().wants_witness
    assert verdicts(NOT_FOUND).wants_witness


def test_while_all_are_refused_they_are_asked_for_one_by_one() -> None:
    assert verdicts().goes_alone
    assert verdicts(FORBIDDEN, NOT_FOUND).goes_alone
    assert not verdicts(FORBIDDEN, answered=True).goes_alone


def test_what_takes_its_time_to_fail_is_not_waited_for() -> None:
    assert not verdicts(FORBIDDEN, IN_TROUBLE).goes_alone


# What it counts as


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        *((code, Trouble.REFUSED) for code in (400, 403, 404)),
        *((code, Trouble.FAILING) for code in (302, 401, 405, 410)),
    ],
)
def test_only_some_answers_refuse_a_conversation(status: int, trouble: Trouble) -> None:
    assert trouble_of(RefusedError("a", "no", status)) is trouble


@pytest.mark.parametrize("error", [UNREACHABLE, IN_TROUBLE])
def test_an_outage_refuses_nothing(error: ConversationError) -> None:
    assert trouble_of(error) is Trouble.FAILING


def test_an_answer_that_is_known_to_be_wrong_is_silence() -> None:
    assert trouble_of(SilentError("a")) is Trouble.SILENT


def test_patience_ends_after_a_week() -> None:
    assert not is_out_of_patience(None, RUN)
    assert not is_out_of_patience(RUN - PATIENCE_MS + 1, RUN)
    assert is_out_of_patience(RUN - PATIENCE_MS, RUN)


# Nothing


def nothing(
    state: dict[str, Any], *, at_ms: int = RUN, is_named: bool = False
) -> Nothing:
    bookmarks = Bookmarks(deepcopy(state))
    return what_nothing_means("a", bookmarks, at_ms, is_named=is_named)


HAD_NONE = {"conversations": {"a": "0 1"}}
KNOWN = {"conversations": {"a": "1 1"}}
SILENT = {"unread": {"a": RUN}, "troubles": {"silent": {"a": RUN}}}
EMPTIED = {**KNOWN, "troubles": {"emptied": {"a": RUN}}}
GONE = {**KNOWN, "troubles": {"gone": {"a": RUN}}}


@pytest.mark.parametrize("state", [{}, HAD_NONE, {"troubles": {"refused": {"a": RUN}}}])
def test_one_of_which_nobody_says_that_it_has_messages_is_empty(
    state: dict[str, Any],
) -> None:
    assert nothing(state) is Nothing.EMPTY


@pytest.mark.parametrize("state", [{}, KNOWN, SILENT, EMPTIED, GONE])
def test_one_whose_message_an_event_names_is_not_believed(
    state: dict[str, Any],
) -> None:
    assert nothing(state, is_named=True) is Nothing.NOT_BELIEVED


@pytest.mark.parametrize("state", [SILENT, {**KNOWN, **SILENT}])
def test_an_event_of_an_earlier_run_counts_for_a_week(state: dict[str, Any]) -> None:
    assert nothing(state, at_ms=RUN + PATIENCE_MS - 1) is Nothing.NOT_BELIEVED
    assert nothing(state, at_ms=RUN + PATIENCE_MS) is Nothing.GONE_NOW


def test_a_week_of_an_outage_is_no_week_of_nothing() -> None:
    state = {"unread": {"a": RUN}, "troubles": {"failing": {"a": RUN}}}

    assert nothing(state, at_ms=RUN + 2 * PATIENCE_MS) is Nothing.NOT_BELIEVED


def test_one_that_had_messages_is_asked_for_in_a_later_run() -> None:
    assert nothing(KNOWN) is Nothing.ONCE_MORE
    assert nothing(EMPTIED) is Nothing.ONCE_MORE
    assert nothing(EMPTIED, at_ms=RUN + 1) is Nothing.GONE_NOW


def test_what_is_gone_is_told_once() -> None:
    assert nothing(GONE, at_ms=RUN + 1) is Nothing.GONE
