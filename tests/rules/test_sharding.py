"""Which conversations are in which part."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.sharding import WHOLE, Shard

IDS = [f"30477717-9f3c-4d3f-8101-{number:012x}" for number in range(2000)]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@st.composite
def shards(draw: st.DrawFn, at_most: int = 9999) -> Shard:
    of = draw(st.integers(min_value=1, max_value=at_most))
    return Shard(draw(st.integers(min_value=1, max_value=of)), of)


def held(shard: Shard) -> set[str]:
    return {id_ for id_ in IDS if shard.holds(id_)}


@given(shards())
def test_any_shard_is_read_as_it_is_written(shard: Shard) -> None:
    assert Shard.parse(str(shard)) == shard


def test_a_shard_is_which_of_how_many() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "/", "1/", "/2", "0/0", "0/8", "9/8", "-1/8", "+1/8", "1.0/8"),
        *("1/8/2", " 1/8", "1/8\n", "1 / 8", "1-8", "a/b", "\u0661/\u0668", "1/10000"),
        *(None, 2, 0.25, True, [1, 8], {"1": 8}),
    ],
)
def test_what_is_no_shard_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a shard"):
        Shard.parse(text)


@given(TEXTS, st.integers(min_value=1, max_value=200))
def test_every_conversation_is_in_exactly_one_shard(id_: str, of: int) -> None:
    holding = [n for n in range(1, of + 1) if Shard(n, of).holds(id_)]

    assert len(holding) == 1


@given(TEXTS)
def test_the_whole_holds_every_conversation(id_: str) -> None:
    assert WHOLE.holds(id_)


@given(shards(at_most=16), shards(at_most=16))
def test_a_shard_is_within_another_if_it_is_a_subset(one: Shard, other: Shard) -> None:
    assert one.is_within(other) == (held(one) <= held(other))


@given(shards(at_most=2000), st.integers(min_value=1, max_value=4), st.data())
def test_a_part_of_a_shard_is_within_it(
    shard: Shard, times: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(min_value=0, max_value=times - 1))
    part = Shard(shard.number + step * shard.of, shard.of * times)

    assert part.is_within(shard)
    assert held(part) <= held(shard)


def test_a_conversation_stays_in_its_shard_for_ever() -> None:
    # Another hash would read what another shard's state knows, so these never change.
    assert {of: Shard(number, of).holds(IDS[0]) for of, number in KNOWN.items()} == (
        dict.fromkeys(KNOWN, True)
    )


KNOWN = {1: 1, 2: 2, 3: 3, 8: 8, 1000: 624}
"""By number of shards: which one holds the first id."""


@pytest.mark.parametrize("of", [2, 3, 8, 10])
def test_shards_are_about_as_large_as_each_other(of: int) -> None:
    sizes = Counter(n for n in range(1, of + 1) for i in IDS if Shard(n, of).holds(i))

    assert min(sizes.values()) > 0.75 * len(IDS) / of
    assert max(sizes.values()) < 1.25 * len(IDS) / of
