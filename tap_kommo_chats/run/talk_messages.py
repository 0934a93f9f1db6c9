"""Reading the talks of native channels, by the rules of the history.

A talk is to its messages what a conversation is to those of the Chats API: it has a
bookmark and is owed, visited and booked in the same way, under its number.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import (
    CrmRefusedError,
    PlanError,
    RunError,
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
from tap_kommo_chats.run.agenda import Agenda
from tap_kommo_chats.run.books import Books
from tap_kommo_chats.run.plan import Plan
from tap_kommo_chats.run.threads import End, Failure, Idle, read_all
from tap_kommo_chats.run.window import Reading, Window
from tap_kommo_chats.run.witnesses import Witnesses
from tap_kommo_chats.state.checkpoint import Checkpoint
from tap_kommo_chats.state.given_messages import GivenMessages
from tap_kommo_chats.state.layout import TALK_MESSAGES
from tap_kommo_chats.times import whole_second

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from tap_kommo_chats.kommo.pagination import HistoryPage
    from tap_kommo_chats.records.messages import Record, Row
    from tap_kommo_chats.run.directory import Directory
    from tap_kommo_chats.run.find import Finder
    from tap_kommo_chats.run.mirror import Mirroring
    from tap_kommo_chats.run.plan import ReadJob
    from tap_kommo_chats.run.threads import Event
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
    run: Mirroring


def open_talks(
    directory: Directory | None,
    finder: Finder,
    state: TapState,
    run: Mirroring,
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
        written: How many messages were written.
    """

    def __init__(self, chats: NativeChats) -> None:
        """Make ready; nothing is asked yet."""
        self.problems: list[str] = []
        self.written = 0
        self._chats = chats
        self._given = GivenMessages()
        self._known_chats: dict[int, _Chat] = {}
        self._witnesses = Witnesses(
            chats.bookmarks, chats.finder.native, may_be_unlisted=True
        )
        self._books = Books(
            chats.finder.native,
            chats.bookmarks,
            self._witnesses,
            chats.run.started_ms,
        )
        self._checkpoint = Checkpoint(chats.run.output.write_state)
        self._plan = Plan(
            started_ms=chats.run.started_ms,
            start_ms=chats.run.settings.start_ms,
            lookback_ms=chats.run.settings.lookback_ms,
            has_crm=True,
            from_beginning=False,
        )

    def messages(self, masked: Callable[[Record], Record]) -> Iterator[Record]:
        """Read every talk in which something may have happened.

        Args:
            masked: Takes out of a record what is not to leave.

        Raises:
            RunError: If the CRM cannot be asked for anything.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        run, bookmarks = self._chats.run, self._chats.bookmarks
        events = read_all(
            self._jobs(),
            self._read,
            run.settings.max_concurrency,
            lambda: self._books.verdicts.goes_alone,
        )
        readings: dict[str, Reading] = {}
        try:
            for event in events:
                run.stop.check(run.output)
                if isinstance(event, Idle):
                    run.output.flush()
                    continue
                for record in self._take(event, readings, masked):
                    self.written += 1
                    yield record
                    run.stop.check(run.output)
                if isinstance(event, End):
                    reading = readings.pop(event.job.conversation_id)
                    self._books.read(event.job, reading)
                    self._note_read(int(event.job.conversation_id))
                    self._checkpoint.write_if_due(bookmarks.size_bytes)
            self._complete()
        except CrmRefusedError as error:
            why = why_no_talk(error)
            self.problems.append(f"talk_messages could not be read: {why}")
            self._owe_the_rest()
            self._complete()
        except RunError:
            run.stop.check(run.output)
            bookmarks.troubles.forgive(run.started_ms)
            self._checkpoint.write()
            raise
        finally:
            self._close(events)

    def _owe_the_rest(self) -> None:
        """Owe what was not read, so that a later run need not search for it again."""
        for entry in self._entries():
            if entry.outcome in {None, Outcome.ASKED}:
                for job in self._job_of(entry):
                    id_ = job.conversation_id
                    self._chats.bookmarks.owe(id_, job.activity_ms)

    def _note_read(self, talk_id: int) -> None:
        chat_id = self._chat(talk_id).chat_id
        del self._known_chats[talk_id]
        if chat_id is not None:
            self._chats.read.note(chat_id, talk_id)

    def _close(self, events: Generator[object, None, None]) -> None:
        events.close()
        self._chats.read.keep()
        self._books.sum_up()
        tally = self._books.tally
        self.problems += [f"of talks: {problem}" for problem in tally.problems()]
        told = str(tally).replace("conversations", "talks").capitalize()
        logger.info("%s; messages: %d", told, self.written)

    def _complete(self) -> None:
        self._books.close()
        finder = self._chats.finder
        if finder.problems or not finder.has_ended:
            return
        for entry in finder.native.entries():
            if TALK in entry.sources:
                self._chats.bookmarks.note_in_crm(entry.conversation_id)
        finder.move_mark(TALK_MESSAGES, self._chats.run.started_ms)

    def _jobs(self) -> Iterator[ReadJob]:
        """Say which talks have to be read, those that failed before at last."""
        chats = self._chats
        for talk_id, at_ms in chats.bookmarks.pending(chats.run.started_ms):
            chats.finder.native.learn(Conversation(talk_id, STATE, at_ms))
        agenda = Agenda(self._plan, chats.bookmarks, self._books, self._witnesses)
        for job in agenda.jobs(self._entries(), lambda: None):
            yield self._own_part(job)

    def _job_of(self, entry: Entry) -> list[ReadJob]:
        """Say what to read of a talk, if there is anything."""
        job = self._plan.job_for(entry, self._chats.bookmarks)
        return [] if job is None else [self._own_part(job)]

    def _entries(self) -> Iterator[Entry]:
        """Go through the talks of this shard that are known."""
        holds = self._chats.run.shard.holds
        entries = self._chats.finder.native.entries()
        return (entry for entry in entries if holds(entry.conversation_id))

    def _own_part(self, job: ReadJob) -> ReadJob:
        """Leave out of a new talk what was read of its chat through another one."""
        chat = self._chat(int(job.conversation_id))
        if job.known is not None or chat.last_talk is None or not chat.began_ms:
            return job
        # A messenger's clock may be off, or a message late.
        since_ms = chat.began_ms - self._chats.run.margin_ms
        return replace(job, since_ms=max(since_ms, job.since_ms or 0))

    def _read(self, job: ReadJob) -> Iterable[HistoryPage]:
        crm = self._chats.directory.crm
        return read_talk_messages(crm, int(job.conversation_id), job.since_ms)

    def _take(
        self,
        event: Event[ReadJob, HistoryPage],
        readings: dict[str, Reading],
        masked: Callable[[Record], Record],
    ) -> Iterator[Record]:
        """Take in what came of a talk, and yield what is to be written."""
        job = event.job
        if isinstance(event, Failure):
            self._known_chats.pop(int(job.conversation_id), None)
        if isinstance(event, Failure):
            begun = readings.pop(job.conversation_id, None)
            if isinstance(event.error, CrmRefusedError):
                raise event.error
            had_rows = begun is not None and not begun.end.is_empty
            self._books.failed(job, event.error, had_rows=had_rows)
            return
        if isinstance(event, End):
            yield from self._fresh(readings[job.conversation_id].window.end())
            return
        self._books.came(job)
        settings, run = self._chats.run.settings, self._chats.run
        window = Window(job.known, whole_second(run.started_ms), settings.lookback_ms)
        end = replace(event.content, rows=())
        reading = readings.setdefault(job.conversation_id, Reading(window, end))
        reading.end = end
        for row in event.content.rows:
            talk_id = int(job.conversation_id)
            if self._books.takes(row, job) and not self._is_anothers(row, talk_id):
                record = masked(self._record(row, talk_id))
                taken = reading.window.take(record, row.sent_ms or 0)
                yield from self._fresh(taken)

    def _fresh(self, records: Iterable[Record]) -> Iterator[Record]:
        """Leave out what another talk of the chat has given."""
        for record in records:
            digest = hash(repr(sorted(record.items())))
            chat, message = record["conversation_id"], record["message_id"]
            if self._given.is_new(chat, message, digest):
                yield record

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
        if last is not None:
            # It began before those that this run knows of.
            times.setdefault(last, 0)
        talks = tuple(TalkTimes(each, began_ms) for each, began_ms in times.items())
        return _Chat(talk.chat_id, talk.began_ms, last, talks)

    def _is_anothers(self, row: Row, talk_id: int) -> bool:
        """Tell whether another talk gives a message, as an event of it says."""
        told = self._chats.finder.seen_events.talk_of(row.message_id or "")
        if told is None or told == talk_id:
            return False
        is_read = self._chats.bookmarks.known(str(told)) is not None
        return is_read or self._chats.finder.native.entry(str(told)) is not None

    def _record(self, row: Row, talk_id: int) -> Record:
        chat = self._chat(talk_id)
        chat_id = chat_of(row, chat.chat_id)
        told = self._chats.finder.seen_events.talk_of(row.message_id or "")
        if told is None:
            told = nearest_talk(row.sent_ms or 0, talk_id, chat.talks)
        account_id = self._chats.directory.number_for(row.value.get("account_id"))
        return to_record(row, chat_id, told, account_id)


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
