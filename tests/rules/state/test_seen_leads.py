"""Which leads a run needs, and which it has read."""

from __future__ import annotations

from tap_kommo_chats.state.seen_leads import AT_ONCE, SeenLeads


def test_a_lead_that_was_read_is_not_asked_for() -> None:
    seen = SeenLeads()
    seen.want([(7, 1), (8, 1), (7, 2)])

    seen.note_read(8)

    assert list(seen.unread()) == [[7]]
    assert seen.is_unread(7)
    assert not seen.is_unread(8)
    assert not seen.is_unread(9)


def test_leads_are_asked_for_in_batches_though_they_are_read_meanwhile() -> None:
    seen = SeenLeads()
    wanted = range(1, 2 * AT_ONCE + 2)
    seen.want((number, 0) for number in wanted)

    batches = []
    for some in seen.unread():
        batches.append(some)
        for number in some:
            seen.note_read(number)

    assert [len(some) for some in batches] == [AT_ONCE, AT_ONCE, 1]
    assert [number for some in batches for number in some] == list(wanted)


def test_what_last_happened_in_a_leads_talks_is_known() -> None:
    seen = SeenLeads()
    seen.want([(7, 5), (7, 9), (7, 2)])

    assert seen.note_read(7) == 9
    assert seen.note_read(8) is None
