"""Asking for the talks that events lead to: many at once, and none twice.

A filter that takes many is documented, and what comes is believed as far as it goes:
what it leaves out is asked for alone, and where that is most, so is all from then on.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import BadRequestError, ForbiddenError, NotFoundError
from tap_kommo_chats.kommo.pages import Ending
from tap_kommo_chats.records.talks import Owner, Talk, read_talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.sources.together import Together
    from tap_kommo_chats.state.seen_talks import SeenTalks

AT_ONCE = 50
"""Asked for in one request: as many as keep its address below 2 kB."""

_NAMED_AT_MOST = 10
_TALK = "talk"


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page of talks that were asked for by their numbers."""

    talks: list[Talk]
    is_heeded: bool


class TalkLookup:
    """Finds talks by their numbers, and by whose they are.

    Attributes:
        hidden: How much of what was asked for the CRM does not show to the token's
            user.
        hidden_names: The first of it, such as `talk 7`.
        doubted: The first number that was believed not to be there and has to be asked
            for alone; None where there is none.
    """

    def __init__(self, crm: CrmApi, seen: SeenTalks, together: Together) -> None:
        """Ask nothing yet.

        Args:
            crm: The account's CRM.
            seen: Keeps what is found.
            together: Asks for several at once.
        """
        self.hidden = 0
        self.hidden_names: list[str] = []
        self._crm = crm
        self._seen = seen
        self._together = together
        self._asked_singly: set[str] = set()
        self._is_proven = False
        self.doubted: int | None = None
        self._believed: int | None = None

    def find(self, talk_ids: Iterable[int]) -> None:
        """Ask for talks that are not known yet."""
        unknown = {id_ for id_ in talk_ids if not self._seen.was_asked_for(id_)}
        batches = list(_batches(unknown))
        together: Callable[[Sequence[int]], object] = self._several
        if self._is_proven and _TALK not in self._asked_singly:
            # One after the other they would hold up the search, which finds them.
            with closing(self._together(batches, self._numbered)) as coming:
                for _, answer in coming:
                    self._seen.keep([] if answer is None else answer.talks)
            together = _is_done
        for some in batches:
            self._ask(_TALK, some, together, self._alone, self._seen.was_asked_for)

    def find_some(self, talk_ids: Sequence[int]) -> int:
        """Ask for talks of which many may not be there, at most `AT_ONCE`.

        Where the filter leaves out more than half, that is believed if it is so of the
        first, the middle and the last of it, asked for alone. Where it proves wrong,
        `doubted` is set.

        Args:
            talk_ids: Numbers, in their order.

        Returns:
            How many requests that took, or one more.
        """
        if not talk_ids:
            return 0
        is_heeded = _TALK not in self._asked_singly and self._several(talk_ids)
        left_out = [id_ for id_ in talk_ids if not self._seen.was_asked_for(id_)]
        is_sampled = is_heeded and 2 * len(left_out) > len(talk_ids)
        sample = left_out
        if is_sampled:
            sample = sorted({*left_out[:: max(1, len(left_out) // 2)], left_out[-1]})
        is_there = [self._alone(talk_id) for talk_id in sample]
        if is_sampled and not any(is_there):
            if self._believed is None:
                self._believed = left_out[0]
            return 1 + len(sample)
        if is_heeded and any(is_there):
            self._asked_singly.add(_TALK)
            self.doubted, self._believed = self._believed, None
        rest = [id_ for id_ in left_out if not self._seen.was_asked_for(id_)]
        for talk_id in rest:
            self._alone(talk_id)
        return 1 + len(sample) + len(rest)

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
        together: Callable[[Sequence[int]], object],
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

    def _several(self, talk_ids: Sequence[int]) -> bool:
        """Ask for some talks; tell whether the filter is heeded."""
        is_heeded = True
        for answer in self._numbered(talk_ids):
            self._seen.keep(answer.talks)
            is_heeded = answer.is_heeded
        found = sum(map(self._seen.was_asked_for, talk_ids))
        self._is_proven |= is_heeded and 2 * found > len(talk_ids)
        return is_heeded

    def _numbered(self, talk_ids: Sequence[int]) -> Iterator[_Answer]:
        """Ask for some talks. For any number of threads."""
        try:
            for page in self._crm.talks_numbered(talk_ids):
                talks = read_talks(page.rows)
                # Else what comes is the list of all.
                is_heeded = all(talk.talk_id in talk_ids for talk in talks)
                yield _Answer(talks, is_heeded)
                if not is_heeded:
                    return
        except (BadRequestError, ForbiddenError, NotFoundError):
            # Each is asked for alone.
            yield _Answer([], is_heeded=False)

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


def _is_done(_numbers: Sequence[int]) -> None:
    """Ask for nothing that was asked for already."""


def _batches(numbers: set[int]) -> Iterator[Sequence[int]]:
    ordered = sorted(numbers)
    for first in range(0, len(ordered), AT_ONCE):
        yield ordered[first : first + AT_ONCE]
