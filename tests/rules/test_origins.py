"""Which channels of an account are looked at."""

from __future__ import annotations

import pytest

from tap_kommo_chats.origins import EVERY, Origins

OWN = "amo.ext.1"
OTHER = "amo.ext.2"
WABA = "waba"


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (set(), set()),
        ({WABA}, {WABA}),
        ({EVERY}, {WABA, OTHER}),
        # One's own stays one's own, whatever is said of others.
        ({EVERY, OWN}, {WABA, OTHER}),
    ],
)
def test_what_is_not_ones_own_is_looked_at_if_it_is_named(
    native: set[str], expected: set[str]
) -> None:
    origins = Origins(frozenset((OWN,)), frozenset(native))

    found = {each for each in (OWN, OTHER, WABA) if origins.is_native(each)}

    assert found == expected
    assert origins.is_own(OWN)
    assert {each for each in (OWN, OTHER, WABA) if origins.has(each)} == {
        OWN,
        *expected,
    }


def test_a_talk_that_does_not_say_is_ones_own_where_there_is_a_channel() -> None:
    assert Origins(frozenset((OWN,)), frozenset((EVERY,))).is_own("")
    assert Origins(frozenset(), frozenset((EVERY,))).is_native("")
    assert not Origins(frozenset(), frozenset((WABA,))).has("")
