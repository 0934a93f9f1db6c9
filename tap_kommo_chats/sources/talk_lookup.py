"""Asking for the talks that events lead to: many at once, and none twice.

A filter that takes many is documented, and what comes is believed as far as it goes:
what it leaves out is asked for alone, and where that is most, so is all from then on.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import BadRequestError, ForbiddenError, NotFoundError
from tap_kommo_chats.kommo.pages import Ending
from tap_kommo_chats.records.talks import Owner, Talk, read_talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.state.seen_talks import SeenTalks

_AT_ONCE = 50
"""Asked for in one request: as many as keep its address below 2 kB."""

_NAMED_AT_MOST = 10
_TALK = "talk"


class TalkLookup:
    """Finds talks by their numbers, and by whose they are.

    Attributes:
        hidden: How much of what was asked for the CRM does not show to the token's
            user.
        hidden_names: The first of it, such as `talk 7`.
    """

    def __init__(self, crm: CrmApi, seen: SeenTalks) -> None:
        """Ask nothing yet.

        Args:
            crm: The account's CRM.
            seen: Keeps what is found.
        """
        self.hidden = 0
        self.hidden_names: list[str] = []
        self._crm = crm
        self._seen = seen
        self._asked_singly: set[str] = set()

    def find(self, talk_ids: Iterable[int]) -> None:
        """Ask for talks that are not known yet."""
        unknown = {id_ for id_ in talk_ids if not self._seen.was_asked_for(id_)}
        for some in _batches(unknown):
            self._ask(
                _TALK, some, self._numbered, self._alone, self._seen.was_asked_for
            )

    def find_of(self, owners: Iterable[Owner]) -> None:
        """Ask for the talks of those whose talks were not asked for yet."""
        unknown: defaultdict[str, set[int]] = defaultdict(set)
        for owner in owners:
            if not self._seen.knows_owner(owner):
                unknown[owner.kind].add(owner.number)
        for kind, numbers in unknown.items():
            for some in _batches(numbers):
                self._ask_for_those_of(kind, some)

    def _ask_for_those_of(self, kind: str, numbers: Sequence[int]) -> None:
        self._ask(
            kind,
            numbers,
            lambda some: self._of_many(kind, some),
            lambda number: self._of_one(Owner(kind, number)),
            lambda number: self._seen.knows_owner(Owner(kind, number)),
        )

    def _ask(
        self,
        kind: str,
        numbers: Sequence[int],
        together: Callable[[Sequence[int]], None],
        alone: Callable[[int], bool],
        is_known: Callable[[int], bool],
    ) -> None:
        """Ask for many, and for each that is left."""
        is_shared = len(numbers) > 1 and kind not in self._asked_singly
        if is_shared:
            together(numbers)
        left_out = [alone(number) for number in numbers if not is_known(number)]
        if is_shared and 2 * sum(left_out) > len(numbers):
            self._asked_singly.add(kind)

    def _numbered(self, talk_ids: Sequence[int]) -> None:
        try:
            for page in self._crm.talks_numbered(talk_ids):
                talks = self._keep(page.rows)
                if any(talk.talk_id not in talk_ids for talk in talks):
                    # The filter is not heeded, and what comes is the list of all.
                    return
        except (BadRequestError, ForbiddenError, NotFoundError):
            # Each is asked for alone.
            return

    def _alone(self, talk_id: int) -> bool:
        """Ask for one talk; tell whether it is there."""
        talk = None
        try:
            talk = read_talk(self._crm.talk(talk_id))
        except (BadRequestError, NotFoundError):
            pass
        except ForbiddenError:
            self._hide(f"{_TALK} {talk_id}")
        if talk is None or talk.talk_id != talk_id:
            self._seen.note_gone(talk_id)
            return False
        self._seen.keep([talk])
        return True

    def _of_many(self, kind: str, numbers: Sequence[int]) -> None:
        """Ask for the talks of several, and note those of each who has some."""
        owners = [Owner(kind, number) for number in numbers]
        found: defaultdict[Owner, list[int]] = defaultdict(list)
        ending = None
        try:
            for page in self._crm.talks_of(kind, numbers):
                ending = page.ending
                for talk in self._keep(page.rows):
                    theirs = [owner for owner in owners if owner.has(talk)]
                    if not theirs:
                        # The filter is not heeded, and what comes is the list of all.
                        return
                    for owner in theirs:
                        found[owner].append(talk.talk_id)
        except (BadRequestError, ForbiddenError, NotFoundError):
            return
        if ending is Ending.LAST:
            for owner, talk_ids in found.items():
                self._seen.note_owner(owner, talk_ids)
        elif ending is Ending.FULL:
            # A list of so many talks may have been cut off.
            middle = len(numbers) // 2
            self._ask_for_those_of(kind, numbers[:middle])
            self._ask_for_those_of(kind, numbers[middle:])

    def _of_one(self, owner: Owner) -> bool:
        """Ask for the talks of one; tell whether there are some."""
        found: list[int] = []
        try:
            for page in self._crm.talks_of(owner.kind, [owner.number]):
                talks = self._keep(page.rows)
                theirs = [talk.talk_id for talk in talks if owner.has(talk)]
                found += theirs
                if talks and not theirs:
                    # The filter is not heeded, and what comes is the list of all.
                    break
        except (BadRequestError, NotFoundError):
            pass
        except ForbiddenError:
            self._hide(str(owner))
        self._seen.note_owner(owner, found)
        return bool(found)

    def _keep(self, rows: Iterable[object]) -> list[Talk]:
        talks = read_talks(rows)
        self._seen.keep(talks)
        return talks

    def _hide(self, name: str) -> None:
        self.hidden += 1
        if self.hidden <= _NAMED_AT_MOST:
            self.hidden_names.append(name)


def read_talks(rows: Iterable[object]) -> list[Talk]:
    """Read the talks of a page leniently; what has no id is left out."""
    return [talk for talk in map(read_talk, rows) if talk is not None]


def _batches(numbers: set[int]) -> Iterator[Sequence[int]]:
    ordered = sorted(numbers)
    for first in range(0, len(ordered), _AT_ONCE):
        yield ordered[first : first + _AT_ONCE]
