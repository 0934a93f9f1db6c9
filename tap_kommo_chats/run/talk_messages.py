"""Reading the talks of native channels, by the rules of the history.

A talk is to its messages what a conversation is to those of the Chats API: it has a
bookmark and is owed, visited and booked in the same way, under its number.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import (
    BadRequestError,
    CrmRefusedError,
    ForbiddenError,
    NotFoundError,
    PlanError,
    ScopeError,
)
from tap_kommo_chats.kommo.talk_messages import read_talk_messages
from tap_kommo_chats.records.conversations import (
    STATE,
    TALK,
    Conversation,
    Entry,
    Outcome,
)
from tap_kommo_chats.records.talk_messages import (
    TalkTimes,
    chat_of,
    nearest_talk,
    to_record,
)
from tap_kommo_chats.records.talks import read_talk
from tap_kommo_chats.run.agenda import Agenda
from tap_kommo_chats.run.books import Books
from tap_kommo_chats.run.native_chats import chats_of
from tap_kommo_chats.run.plan import Plan
from tap_kommo_chats.run.progress import Progress, Snapshot
from tap_kommo_chats.run.reader import Reader, Reads
from tap_kommo_chats.run.witnesses import Witnesses
from tap_kommo_chats.state.given_messages import GivenMessages
from tap_kommo_chats.state.layout import TALK_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_kommo_chats.kommo.pagination import HistoryPage
    from tap_kommo_chats.records.messages import Record, Row
    from tap_kommo_chats.run.directory import Directory
    from tap_kommo_chats.run.find import Finder
    from tap_kommo_chats.run.frame import Frame
    from tap_kommo_chats.run.plan import ReadJob
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.read_chats import ReadChats
    from tap_kommo_chats.state.tap_state import TapState

logger = logging.getLogger("tap-kommo-chats.talk_messages")


@dataclass(frozen=True, slots=True)
class NativeChats:
    """What reading native chats takes.

    Attributes:
        directory: The account and its CRM.
        finder: Has found the talks in which something happened.
        bookmarks: How far each talk was read.
        read: Through which talk each chat was read last.
        run: What else there is to know.
    """

    directory: Directory
    finder: Finder
    bookmarks: Bookmarks
    read: ReadChats
    run: Frame


def open_talks(
    directory: Directory | None,
    finder: Finder,
    state: TapState,
    run: Frame,
) -> TalkReader | None:
    """Make a reader of talks; None where none is to be read."""
    if directory is None or state.talks is None or state.chats is None:
        return None
    return TalkReader(NativeChats(directory, finder, state.talks, state.chats, run))


@dataclass(frozen=True, slots=True)
class _Chat:
    """The chat of a talk, and its talks, as far as this run knows them."""

    chat_id: str | None
    began_ms: int
    last_talk: int | None
    talks: tuple[TalkTimes, ...]


class TalkReader:
    """Reads the messages of talks.

    Attributes:
        problems: Why something could not be read, a clause each.
    """

    def __init__(self, chats: NativeChats) -> None:
        """Make ready; nothing is asked yet."""
        self.problems: list[str] = []
        self._chats = chats
        self._given = GivenMessages()
        self._known_chats: dict[int, _Chat] = {}
        self._told_chats: dict[int, str] = {}
        self._witnesses = Witnesses(
            chats.bookmarks,
            chats.finder.native,
            may_be_unlisted=chats.run.settings.searches,
        )
        self._books = Books(
            chats.finder.native,
            chats.bookmarks,
            self._witnesses,
            chats.run.started_ms,
        )
        self._plan = Plan(
            started_ms=chats.run.started_ms,
            start_ms=chats.run.settings.start_ms,
            lookback_ms=chats.run.settings.lookback_ms,
            has_crm=chats.run.settings.searches,
            from_beginning=False,
        )

    @property
    def written(self) -> int:
        """How many messages were written."""
        return self._books.tally.messages

    def messages(self, masked: Callable[[Record], Record]) -> Iterator[Record]:
        """Read every talk in which something may have happened.

        Args:
            masked: Takes out of a record what is not to leave.

        Raises:
            RunError: If the CRM cannot be asked for anything.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        host = self._chats.directory.host
        progress = Progress(logger, partial(self._snapshot, host.requests_made))
        reader = Reader(
            self._books, self._chats.bookmarks, self._chats.run, progress.tick
        )
        how = Reads(
            self._pages,
            lambda job, row: self._record(job, row, masked),
            is_wanted=self._is_fresh,
            came=self._chats.finder.came,
            ended=self._note_read,
            failed=self._forget,
        )
        try:
            yield from reader.read(self._jobs(progress.tick), how)
            self._complete()
        except CrmRefusedError as error:
            self.problems.append(
                f"talk_messages could not be read: {why_no_talk(error)}"
            )
            self._owe_the_rest()
            self._complete()
        finally:
            self._close(progress)

    def chats(self) -> Iterator[Entry]:
        """Tell of each chat in which something was read, or could not be."""
        finder = self._chats.finder
        return chats_of(
            self._entries(only_told=True),
            finder.native,
            finder.seen_talks,
            self._chat_of_talk,
            self._chats.run.shard.holds,
        )

    def _chat_of_talk(self, talk_id: int) -> str | None:
        talk = self._chats.finder.seen_talks.get(talk_id)
        return self._told_chats.get(talk_id) if talk is None else talk.chat_id

    def _owe_the_rest(self) -> None:
        """Owe what was not read, so that a later run need not search for it again."""
        for entry in self._entries():
            if entry.outcome in {None, Outcome.ASKED}:
                for job in self._job_of(entry):
                    id_ = job.conversation_id
                    self._chats.bookmarks.owe(id_, job.activity_ms)

    def _note_read(self, job: ReadJob) -> None:
        talk_id = int(job.conversation_id)
        chat_id = self._chat(talk_id).chat_id
        self._forget(job)
        known = self._chats.bookmarks.known(job.conversation_id)
        # One without messages says nothing of what was read of its chat.
        if chat_id is not None and known is not None and known.newest_ms:
            self._chats.read.note(chat_id, talk_id)

    def _forget(self, job: ReadJob) -> None:
        self._known_chats.pop(int(job.conversation_id), None)

    def _close(self, progress: Progress) -> None:
        self._chats.read.keep()
        tally = self._books.tally
        self.problems += [f"of talks: {problem}" for problem in tally.problems()]
        told = str(tally).replace("conversations", "talks").capitalize()
        progress.end(told, tally.numbers())
        if self._chats.finder.way_back is not None:
            logger.info("%s", self._chats.finder.way_back)

    def _complete(self) -> None:
        self._books.close()
        finder = self._chats.finder
        finder.move_mark(TALK_MESSAGES, self._chats.run.started_ms)
        is_searched = self._chats.run.settings.searches
        if is_searched and finder.has_ended and not finder.problems:
            for entry in finder.native.entries():
                if TALK in entry.sources:
                    self._chats.bookmarks.note_in_crm(entry.conversation_id)

    def _snapshot(self, requests_before: int, seconds: float) -> Snapshot:
        made = self._chats.directory.host.requests_made - requests_before
        return Snapshot(
            seconds=seconds,
            done=self._books.tally.done,
            # Those of all shards are in it.
            known=self._chats.finder.native.size // self._chats.run.shard.of,
            all_known=True,
            messages=self.written,
            requests=made,
            crm_requests=None,
            what="talks",
        )

    def _jobs(self, tick: Callable[[], None]) -> Iterator[ReadJob]:
        """Say which talks have to be read, those that failed before at last."""
        chats = self._chats
        for talk_id, at_ms in chats.bookmarks.pending(chats.run.started_ms):
            chats.finder.native.learn(Conversation(talk_id, STATE, at_ms))
        agenda = Agenda(self._plan, chats.bookmarks, self._books, self._witnesses)
        for job in agenda.jobs(self._affordable(), tick):
            yield self._own_part(job)

    def _affordable(self) -> Iterator[Entry]:
        """Go through the talks, and leave to later runs what may cost no more."""
        way_back = self._chats.finder.way_back
        for entry in self._entries():
            if way_back is not None and way_back.leaves(entry.conversation_id):
                continue
            yield entry

    def _job_of(self, entry: Entry) -> list[ReadJob]:
        """Say what to read of a talk, if there is anything."""
        job = self._plan.job_for(entry, self._chats.bookmarks)
        return [] if job is None else [self._own_part(job)]

    def _entries(self, *, only_told: bool = False) -> Iterator[Entry]:
        """Go through the talks of this shard that are known."""
        holds = self._chats.run.shard.holds
        entries = self._chats.finder.native.entries(only_told=only_told)
        return (entry for entry in entries if holds(entry.conversation_id))

    def _own_part(self, job: ReadJob) -> ReadJob:
        """Leave out of a new talk what was read of its chat through another one.

        One that had no message so far is as new.
        """
        chat = self._chat(int(job.conversation_id))
        is_new = job.known is None or not job.known.newest_ms
        if not is_new or chat.last_talk is None or not chat.began_ms:
            return job
        # A messenger's clock may be off, or a message late.
        since_ms = chat.began_ms - self._chats.run.margin_ms
        return replace(job, since_ms=max(since_ms, job.since_ms or 0))

    def _pages(self, job: ReadJob) -> Iterable[HistoryPage]:
        crm = self._chats.directory.crm
        return read_talk_messages(crm, int(job.conversation_id), job.since_ms)

    def _is_fresh(self, record: Record) -> bool:
        """Tell whether no other talk of the chat has given a record."""
        digest = hash(repr(sorted(record.items())))
        return self._given.is_new(
            record["conversation_id"], record["message_id"], digest
        )

    def _chat(self, talk_id: int) -> _Chat:
        """Return what is known of a talk's chat, looked up once a talk."""
        if talk_id not in self._known_chats:
            self._known_chats[talk_id] = self._look_up(talk_id)
        return self._known_chats[talk_id]

    def _look_up(self, talk_id: int) -> _Chat:
        seen = self._chats.finder.seen_talks
        talk = seen.get(talk_id)
        if talk is None or talk.chat_id is None:
            return _Chat(None, 0, None, ())
        times = {each.talk_id: each.began_ms for each in seen.of_chat(talk.chat_id)}
        last = self._chats.read.last_talk(talk.chat_id)
        if last == talk_id:
            last = None
        if last is not None and last not in times:
            times[last] = self._begin_ms(last, talk_id)
        talks = tuple(TalkTimes(each, began_ms) for each, began_ms in times.items())
        return _Chat(talk.chat_id, talk.began_ms, last, talks)

    def _begin_ms(self, last: int, talk_id: int) -> int:
        """Tell when the talk began through which an earlier run read a chat."""
        if last < talk_id:
            # Before those that this run knows of.
            return 0
        # One that was found by its number is older than what was read before.
        try:
            found = read_talk(self._chats.directory.crm.talk(last))
        except (BadRequestError, ForbiddenError, NotFoundError):
            found = None
        return 0 if found is None else found.began_ms

    def _is_anothers(self, row: Row, talk_id: int) -> bool:
        """Tell whether another talk gives a message, as an event of it says."""
        told = self._chats.finder.seen_events.talk_of(row.message_id or "")
        if told is None or told == talk_id:
            return False
        is_read = self._chats.bookmarks.known(str(told)) is not None
        return is_read or self._chats.finder.native.entry(str(told)) is not None

    def _record(
        self, job: ReadJob, row: Row, masked: Callable[[Record], Record]
    ) -> Record | None:
        """Make a message's record; None where it is another talk's."""
        talk_id = int(job.conversation_id)
        if self._is_anothers(row, talk_id):
            return None
        chat = self._chat(talk_id)
        chat_id = chat_of(row, chat.chat_id)
        if chat.chat_id is None:
            # A visit, of which only the messages tell the chat.
            self._told_chats[talk_id] = chat_id
        told = self._chats.finder.seen_events.talk_of(row.message_id or "")
        if told is None:
            told = nearest_talk(row.sent_ms or 0, talk_id, chat.talks)
        account_id = self._chats.directory.number_for(row.value.get("account_id"))
        return masked(to_record(row, chat_id, told, account_id))


def why_no_talk(error: CrmRefusedError) -> str:
    """Say why no talk can be read, and what to do."""
    if isinstance(error, PlanError):
        return (
            "Kommo answered 402; the account's plan lacks the Chats API add-on: add "
            "it, or leave native_channels out"
        )
    if isinstance(error, ScopeError):
        return (
            'crm_access_token lacks the scope "External chat history": tick it in the '
            "integration, then make a new token, because one keeps the scopes it was "
            "made with"
        )
    return str(error)
