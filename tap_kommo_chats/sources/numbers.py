"""Going back through talks by their numbers, because the list of talks may end early.

Talks are numbered one after the other in an account (inferred: the documented samples
count so), and the list is known to end early on some accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.sources.talk_lookup import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_kommo_chats.records.conversations import Conversation
    from tap_kommo_chats.records.talks import Talk
    from tap_kommo_chats.settings.values import TalkNumbers
    from tap_kommo_chats.sources.talk_lookup import TalkLookup
    from tap_kommo_chats.state.seen_talks import SeenTalks


class WayBack:
    """A walk through some numbers of talks, as far as it may go in one run.

    Attributes:
        following: The number that is next, here or in a later run.
        problems: Why it ended before its time, a clause each.
    """

    def __init__(
        self,
        numbers: TalkNumbers,
        first: int,
        is_read: Callable[[Conversation], bool],
    ) -> None:
        """Ask nothing yet.

        Args:
            numbers: All of them, and how many requests they may cost in one run.
            first: The one at which to begin.
            is_read: Tells whether something needs no reading because it turns up.
        """
        self.following = first
        self.problems: list[str] = []
        self._first = first
        self._last = numbers.last
        self._requests = numbers.requests
        self._is_read = is_read
        self._spent = 0
        self._found: set[str] = set()
        self._unread: set[str] = set()
        self._handed_out: set[str] = set()

    def __str__(self) -> str:
        """Say how far it got, in a line."""
        if self.following > self._last:
            return f"talk_ids: all up to {self._last} were asked for"
        if self.following <= self._first:
            return f"talk_ids: the next run goes on from {self.following}"
        return (
            f"talk_ids: {self._first} to {self.following - 1} were asked for in this "
            f"run; the next one goes on up to {self._last}"
        )

    def talks(self, lookup: TalkLookup, seen: SeenTalks) -> Iterator[list[Talk]]:
        """Yield the talks that there are, as many as were asked for at once.

        Those that the run met are among them: what it met may be an answer to another
        question, and nobody was told.

        Args:
            lookup: Asks for them.
            seen: Says which were met.

        Raises:
            RunError: If the CRM cannot be asked.
        """
        while self.following <= self._last and self._may_cost(len(self._unread)):
            end = min(self.following + AT_ONCE, self._last + 1)
            some = range(self.following, end)
            unknown = [number for number in some if not seen.was_asked_for(number)]
            self._spent += lookup.find_some(unknown)
            if lookup.doubted is not None:
                # What was believed not to be there before is asked for alone.
                self.following, lookup.doubted = lookup.doubted, None
                continue
            yield [talk for number in some if (talk := seen.get(number))]
            # Those that failed meanwhile are owed.
            self.following = end
        # What was found gets a request each, or it would be found again for ever.
        self._requests = max(self._requests, self._spent + len(self._unread))

    def note(self, found: Conversation) -> None:
        """Note what was found and may have to be read."""
        if not self._is_read(found):
            self._found.add(found.conversation_id)
            self._unread.add(found.conversation_id)

    def came(self, conversation_id: str) -> None:
        """Note that a page of something came, be it found here or not."""
        self._spent += conversation_id in self._found
        self._unread.discard(conversation_id)

    def leaves(self, conversation_id: str) -> bool:
        """Tell whether a talk is left to a later run, as are those after it."""
        if conversation_id not in self._unread:
            return False
        talk_id = int(conversation_id)
        if not self._may_cost(len(self._handed_out & self._unread)):
            self.following = min(self.following, talk_id)
        if talk_id >= self.following:
            return True
        self._handed_out.add(conversation_id)
        return False

    def _may_cost(self, more: int) -> bool:
        """Tell whether a request may be made, and so many others that are certain."""
        return self._spent + more < self._requests
