"""Reading conversations at once: the records of each, and what became of it, booked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import RunError, StopRequestedError
from tap_kommo_chats.run.threads import End, Failure, Idle, read_all
from tap_kommo_chats.run.window import Reading, Window
from tap_kommo_chats.state.checkpoint import Checkpoint
from tap_kommo_chats.times import whole_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_kommo_chats.kommo.pagination import HistoryPage
    from tap_kommo_chats.records.messages import Record, Row
    from tap_kommo_chats.run.books import Books
    from tap_kommo_chats.run.frame import Frame
    from tap_kommo_chats.run.plan import ReadJob
    from tap_kommo_chats.run.threads import Event
    from tap_kommo_chats.state.bookmarks import Bookmarks


@dataclass(frozen=True, slots=True)
class Reads:
    """How conversations of a kind are read.

    Attributes:
        pages: Reads one, page by page. Called by several threads at once.
        record: Makes a record of a row; None where the row is not to be written.
        is_wanted: Tells whether a record is to be written after all.
        came: Called with the id of one of which a page came.
        ended: Called when one was read, and its records were written.
        failed: Called when one could not be read.
        release: Called when the rows of a page are not needed any more.
        stop: Called at the end, before the threads are waited for.
    """

    pages: Callable[[ReadJob], Iterable[HistoryPage]]
    record: Callable[[ReadJob, Row], Record | None]
    is_wanted: Callable[[Record], bool] = lambda _: True
    came: Callable[[str], None] = lambda _: None
    ended: Callable[[ReadJob], None] = lambda _: None
    failed: Callable[[ReadJob], None] = lambda _: None
    release: Callable[[HistoryPage], None] = lambda _: None
    stop: Callable[[], None] = lambda: None


class Reader:
    """Reads conversations, or talks as if they were some."""

    def __init__(
        self,
        books: Books,
        bookmarks: Bookmarks,
        run: Frame,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Make ready; nothing is asked yet.

        Args:
            books: Are told what became of each.
            bookmarks: What the next run goes on from.
            run: What holds for all of the run.
            tick: Called whenever something came, or nothing for half a second.
        """
        self._books = books
        self._bookmarks = bookmarks
        self._run = run
        self._tick = tick
        self._checkpoint = Checkpoint(run.output.write_state)
        self._readings: dict[str, Reading] = {}

    def read(self, jobs: Iterable[ReadJob], how: Reads) -> Iterator[Record]:
        """Read them, several at once.

        A bookmark moves when the record after the last one of its conversation is
        asked for, because the last one has been written by then.

        Raises:
            RunError: If none can be read.
            SystemExit: If a signal asked to stop; its code is the signal's.
        """
        run, books = self._run, self._books
        events = read_all(
            jobs,
            how.pages,
            # Who looks at one record has no use for what threads read ahead.
            1 if run.is_glance else run.settings.max_concurrency,
            lambda: books.verdicts.goes_alone,
        )
        try:
            for event in events:
                run.stop.check(run.output)
                self._tick()
                if isinstance(event, Idle):
                    run.output.flush()
                    continue
                for record in filter(how.is_wanted, self._take(event, how)):
                    # Before, because a run that stops does not come back from there.
                    books.tally.messages += 1
                    yield record
                    run.stop.check(run.output)
                if isinstance(event, End):
                    self._end(event.job)
                    how.ended(event.job)
        except StopRequestedError:
            run.stop.check(run.output)
        except RunError:
            # A signal may be what broke into something.
            run.stop.check(run.output)
            # Time in which nothing could be asked counts against no conversation.
            self._bookmarks.troubles.forgive(run.started_ms)
            self._checkpoint.write()
            raise
        finally:
            how.stop()
            events.close()
            books.sum_up()

    def _take(self, event: Event[ReadJob, HistoryPage], how: Reads) -> Iterator[Record]:
        """Take in what came of a conversation, and yield what is to be written."""
        job = event.job
        if isinstance(event, Failure):
            how.failed(job)
            begun = self._readings.pop(job.conversation_id, None)
            had_rows = begun is not None and not begun.end.is_empty
            self._books.failed(job, event.error, had_rows=had_rows)
        elif isinstance(event, End):
            yield from self._readings[job.conversation_id].window.end()
        else:
            self._books.came(job)
            how.came(job.conversation_id)
            window = self._reading_of(job, event.content).window
            for row in event.content.rows:
                if self._books.takes(row, job):
                    record = how.record(job, row)
                    if record is not None:
                        yield from window.take(record, row.sent_ms or 0)
            how.release(event.content)

    def _reading_of(self, job: ReadJob, page: HistoryPage) -> Reading:
        # What it says of the conversation, without its rows.
        end = replace(page, rows=())
        reading = self._readings.get(job.conversation_id)
        if reading is None:
            read_ms = whole_second(self._run.started_ms)
            window = Window(job.known, read_ms, self._run.settings.lookback_ms)
            reading = self._readings[job.conversation_id] = Reading(window, end)
        reading.end = end
        return reading

    def _end(self, job: ReadJob) -> None:
        self._books.read(job, self._readings.pop(job.conversation_id))
        self._checkpoint.write_if_due(self._bookmarks.size_bytes)
