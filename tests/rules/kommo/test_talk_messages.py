"""The pages of a talk's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tap_kommo_chats.kommo.pages import Ending, Page
from tap_kommo_chats.kommo.talk_messages import read_talk_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.kommo.crm import CrmApi


class Quiet:
    """A CRM whose talks have no message, or none in the time that is asked for."""

    def talk_messages(self, talk_id: int, since_ms: int | None) -> Iterator[Page]:
        del talk_id, since_ms
        yield Page([], Ending.LAST)


@pytest.mark.parametrize(("since_ms", "is_empty"), [(None, True), (1, False)])
def test_a_talk_is_empty_only_where_all_of_it_was_asked_for(
    since_ms: int | None,
    *,
    is_empty: bool,
) -> None:
    (page,) = read_talk_messages(cast("CrmApi", Quiet()), 7, since_ms)

    assert page.is_empty is is_empty
