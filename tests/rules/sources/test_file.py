"""Conversations listed in a file, wherever it is."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

import fsspec
import pytest
from aiohttp import ClientTimeout, web

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.file_formats import file_format
from tap_kommo_chats.records.conversations import Conversation
from tap_kommo_chats.sources.file import LINE_AT_MOST, FileSource
from tap_kommo_chats.sources.timeouts import timeouts
from tests.support.memory import peak_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from sandbox import Sandbox

    Write: TypeAlias = Callable[[str, str | bytes], Path]

A = "30477717-9f3c-4d3f-8101-60327e14dc48"
B = "7b1d2c90-0c35-4a0e-9f25-2f4f6a1f8f11"
MOMENT = "2025-01-05T10:20:30Z"
MOMENT_MS = 1_736_072_430_000

SECONDS = {"connect_timeout": 7, "read_timeout": 7}
TIMEOUT = ClientTimeout(total=300, connect=7, sock_read=7)

TEXT = f"{A}\n{B}\n"
TABLE = f"conversation_id,updated_at\n{A},{MOMENT}\n{B},\n"
OBJECTS = (
    f'{{"conversation_id": "{A}", "updated_at": "{MOMENT}"}}\n'
    f'{{"conversation_id": "{B}"}}\n'
)


def read(location: object, timeout: int = 30) -> tuple[list[Conversation], list[str]]:
    """Read a list, and return what was said about it too."""
    said: list[str] = []
    return list(FileSource(str(location), said.append, timeout)), said


def ids_of(location: object) -> list[str]:
    conversations, said = read(location)
    assert said == []
    return [conversation.conversation_id for conversation in conversations]


def refusal(location: object, timeout: int = 30) -> str:
    """What is said of a file that cannot be read; one line without its name."""
    with pytest.raises(RunError) as raised:
        read(location, timeout)
    said = str(raised.value)
    assert said.startswith("conversations_file ")
    assert "\n" not in said
    assert str(location) not in said
    # Nor may anything else show it that logs the error.
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return said


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        raw = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(raw) if name.lower().endswith(".gz") else raw)
        return path

    return write


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content", "activity"),
    [
        ("list.txt", TEXT, None),
        ("list.csv", TABLE, MOMENT_MS),
        ("list.jsonl", OBJECTS, MOMENT_MS),
    ],
)
def test_each_format_is_read_as_it_is_and_packed(
    write: Write, name: str, content: str, activity: int | None, suffix: str
) -> None:
    assert read(write(name + suffix, content)) == (
        [Conversation(A, "file", activity), Conversation(B, "file")],
        [],
    )


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("list.txt", ".txt"),
        ("List.CSV", ".csv"),
        ("list.jsonl.gz", ".jsonl"),
        ("list.TXT.GZ", ".txt"),
        ("s3://bucket/list.csv", ".csv"),
        ("https://example.com/list.jsonl.gz?signature=list.txt#list.csv", ".jsonl"),
        ("C:\\lists\\list.txt", ".txt"),
        ("list", None),
        ("list.xlsx", None),
        ("list.txt.zip", None),
        ("list.json", None),
        (".gz", None),
        ("https://example.csv/list", None),
    ],
)
def test_the_format_is_told_by_the_name(location: str, expected: str | None) -> None:
    assert file_format(location) == expected


@pytest.mark.parametrize(
    ("name", "content"), [("l.txt", TEXT), ("l.csv", TABLE), ("l.jsonl", OBJECTS)]
)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\n\n") + "\n\n",
    ],
    ids=["CRLF", "no line end at the end", "byte order mark", "empty lines"],
)
def test_how_an_editor_writes_lines_makes_no_difference(
    write: Write, name: str, content: str, change: Callable[[str], str]
) -> None:
    assert ids_of(write(name, change(content))) == [A, B]


@pytest.mark.parametrize("name", ["list.txt", "list.jsonl"])
def test_a_line_of_white_space_is_empty(write: Write, name: str) -> None:
    content = {"list.txt": TEXT, "list.jsonl": OBJECTS}[name]

    assert ids_of(write(name, f" \t\n{content}")) == [A, B]


@pytest.mark.parametrize("name", ["list.txt", "list.jsonl", "list.txt.gz"])
def test_an_empty_file_lists_nothing(write: Write, name: str) -> None:
    assert ids_of(write(name, "")) == []


def test_a_quoted_comma_parts_no_columns(write: Write) -> None:
    table = f'title,conversation_id\n"Silva, Ana ""Aninha""\nRecife",{A}\nBia,{B}\n'

    assert ids_of(write("list.csv", table)) == [A, B]


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_a_column_of_the_name_of_a_search_s_mark_is_another(
    write: Write, name: str
) -> None:
    lines = {
        "list.csv": f"conversation_id,searched\n{A},yes\n",
        "list.jsonl": f'{{"conversation_id": "{A}", "searched": true}}\n',
    }

    assert ids_of(write(name, lines[name])) == [A]


def test_other_columns_are_not_looked_at(write: Write) -> None:
    table = f"at,conversation_id,of\n1,{A}\n2,{B},3,4,5\n"

    assert ids_of(write("list.csv", table)) == [A, B]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"../secrets", "was left out: its conversation_id "),
        (b"a\xff", "was left out: its conversation_id has a control character"),
        (b"a\x00b", "was left out: its conversation_id has a control character"),
    ],
)
def test_a_bad_line_of_text_is_named_and_left_out(
    write: Write, bad: bytes, said: str
) -> None:
    path = write("list.txt", b"%s\n\n%s\n%s\n" % (A.encode(), bad, B.encode()))

    conversations, (line,) = read(path)

    assert [c.conversation_id for c in conversations] == [A, B]
    assert line.startswith(f"Line 3 of conversations_file {said}")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b'{"conversation_id": ', "cannot be read and was left out"),
        (b"[" * 100_000, "cannot be read and was left out"),
        (b'"%s"' % A.encode(), "cannot be read and was left out"),
        (b"null", "cannot be read and was left out"),
        (b"{}", "has no conversation_id and was left out"),
        (b'{"conversation_id": 7}', "has no conversation_id and was left out"),
        (b'{"conversation_id": "\xff"}', "was left out: its conversation_id has a c"),
        (b'{"conversation_id": "\\ud800"}', "was left out: its conversation_id has a"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_line_of_json_is_named_and_left_out(
    write: Write, bad: bytes, said: str
) -> None:
    good = OBJECTS.encode().splitlines()
    path = write("list.jsonl", b"%s\n\n%s\n%s\n" % (good[0], bad, good[1]))

    conversations, (line,) = read(path)

    assert [c.conversation_id for c in conversations] == [A, B]
    assert line.startswith(f"Line 3 of conversations_file {said}")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"x,", "was left out: its conversation_id is empty"),
        (b"x", "has no conversation_id and was left out"),
        (b"x,a\xff", "was left out: its conversation_id has a control character"),
        # From Python 3.11 on, the line is read and the id is not.
        (b"x,a\x00b", ""),
        (b"x,%s" % (b"a" * 200_000), "cannot be read and was left out"),
    ],
    ids=["empty", "missing", "undecodable", "NUL", "too long"],
)
def test_a_bad_line_of_a_table_is_named_and_left_out(
    write: Write, bad: bytes, said: str
) -> None:
    table = b"title,conversation_id\n\nx,%s\n%s\nx,%s\n"
    path = write("list.csv", table % (A.encode(), bad, B.encode()))

    conversations, (line,) = read(path)

    assert [c.conversation_id for c in conversations] == [A, B]
    assert line.startswith(f"Line 4 of conversations_file {said}")


LONG = b"a" * (LINE_AT_MOST + 1)
ROWS_WITHOUT_END = b'x,"\n' + b'","\n' * (LINE_AT_MOST // 4)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content", "number"),
    [
        ("list.txt", b"%s\n%s\n%s" % (A.encode(), LONG, B.encode()), 2),
        ("list.txt", b"%s\r\n%s\r\n%s" % (A.encode(), LONG, B.encode()), 2),
        (
            "list.csv",
            b"conversation_id\n%s\n%s\n%s" % (A.encode(), LONG, B.encode()),
            3,
        ),
        ("list.jsonl", OBJECTS.encode().replace(b"\n", b"\n[%s\n" % LONG, 1), 2),
    ],
    ids=["text", "CRLF", "table", "JSON"],
)
def test_a_line_that_is_too_long_is_left_out_and_the_next_ones_are_read(
    write: Write, name: str, content: bytes, number: int, suffix: str
) -> None:
    conversations, (line,) = read(write(name + suffix, content))

    assert [c.conversation_id for c in conversations] == [A, B]
    assert line == (
        f"Line {number} of conversations_file is longer than {LINE_AT_MOST} characters "
        "and was left out"
    )


def test_a_line_may_be_as_long_as_that(write: Write) -> None:
    padded = f"{A}\n".rjust(LINE_AT_MOST)

    assert ids_of(write("list.txt", padded + B)) == [A, B]


def test_a_row_of_many_lines_is_too_long_as_well(write: Write) -> None:
    table = b"conversation_id,title\n%s\n%s,\n" % (ROWS_WITHOUT_END, B.encode())

    conversations, said = read(write("list.csv", table))

    assert conversations[-1].conversation_id == B
    assert "is longer than" in said[0]


def test_a_table_whose_first_line_is_too_long_has_no_column(write: Write) -> None:
    table = b"conversation_id,%s\n%s\n" % (LONG, A.encode())

    assert "has no column conversation_id" in refusal(write("list.csv", table))


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.jsonl"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_memory_stays_flat_however_long_a_line_is(
    write: Write, name: str, suffix: str
) -> None:
    content = b"conversation_id\n%s\n" % (b"a" * 50_000_000)
    path = write(name + suffix, content)
    del content

    assert peak_of(FileSource(str(path), lambda _: None, 30)) < 10_000_000


def test_a_time_that_is_none_is_named_and_its_conversation_is_read(
    write: Write,
) -> None:
    table = f"conversation_id,updated_at\n{A},soon\n{B},{MOMENT}\n"

    (unreadable, readable), (line,) = read(write("list.csv", table))

    assert unreadable.conversation_id == A
    assert readable == Conversation(B, "file", MOMENT_MS)
    assert line.startswith("Line 2 of conversations_file has an updated_at that is no")


def test_a_number_beyond_all_times_spoils_one_line_only(write: Write) -> None:
    huge = f'{{"conversation_id": "{A}", "updated_at": {10**400}}}\n'

    conversations, said = read(write("list.jsonl", huge + OBJECTS))

    assert [c.conversation_id for c in conversations] == [A, A, B]
    assert len(said) == 1


def test_a_quote_that_is_never_closed_swallows_nothing_in_silence(
    write: Write,
) -> None:
    # Most of the list is then the title of its first conversation.
    table = f'conversation_id,title\n{A},"Ana\n{B},Bia\n'
    path = write("list.csv", table)

    try:
        conversations, said = read(path)
    except RunError:
        return
    assert said or [c.conversation_id for c in conversations] == [A, B]


@pytest.mark.parametrize("content", [TEXT, "", "id;updated_at\n", "Conversation,x\n"])
def test_a_table_without_the_column_is_refused(write: Write, content: str) -> None:
    said = refusal(write("list.csv", content))

    assert "has no column conversation_id: name the columns in its first" in said


def test_a_column_may_have_any_place_and_the_list_no_row(write: Write) -> None:
    assert ids_of(write("list.csv", "updated_at,conversation_id\n")) == []


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path / "list.txt")

    assert "No such file or directory" in said
    assert "check the setting, that the file is there and whole" in said


def test_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "list.txt"
    folder.mkdir()

    assert "check the setting, that the file is there" in refusal(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(write: Write) -> None:
    path = write("list.txt", TEXT)
    path.chmod(0)

    assert "that this user may read it" in refusal(path)


@pytest.mark.parametrize("name", ["l.txt.gz", "l.csv.gz", "l.jsonl.gz"])
def test_a_packed_file_that_was_cut_is_refused(write: Write, name: str) -> None:
    content = {"l.txt.gz": TEXT, "l.csv.gz": TABLE, "l.jsonl.gz": OBJECTS}[name]
    path = write(name, content)
    path.write_bytes(path.read_bytes()[:-9])

    assert "that the file is there and whole" in refusal(path)


def test_a_file_that_is_not_packed_despite_its_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt.gz"
    path.write_text(TEXT, encoding="utf-8")

    assert "that the file is there and whole" in refusal(path)


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """The file system of this process, empty before and after."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def test_a_list_is_read_from_wherever_fsspec_reaches(
    memory: fsspec.AbstractFileSystem,
) -> None:
    memory.pipe("/lists/list.csv.gz", gzip.compress(TABLE.encode()))

    assert ids_of("memory://lists/list.csv.gz") == [A, B]


@pytest.mark.parametrize("query", ["", "?signature=hush-hush"])
@pytest.mark.parametrize("name", ["list.txt", "list.csv.gz"])
def test_a_list_is_read_over_http(
    sandbox: Sandbox, write: Write, name: str, query: str
) -> None:
    path = write(name, TEXT if name == "list.txt" else TABLE)
    sandbox.answer = lambda _: web.Response(body=path.read_bytes())

    assert ids_of(f"{sandbox.url}/lists/{name}{query}") == [A, B]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_list_that_http_refuses_is_refused_without_its_url(
    sandbox: Sandbox, status: int
) -> None:
    sandbox.answer = lambda _: web.Response(status=status)

    said = refusal(f"{sandbox.url}/list.txt?signature=hush-hush")

    assert "check the setting" in said
    assert "hush" not in said


def test_a_server_that_is_not_there_is_told_without_the_url() -> None:
    said = refusal("http://127.0.0.1:1/list.txt?signature=hush-hush")

    assert "check the setting" in said
    assert "hush" not in said


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_timeout_holds_for_a_server_that_says_nothing(silent: str) -> None:
    said = refusal(f"{silent}/list.txt", timeout=1)

    assert "no answer in time: check the network, or raise request_timeout" in said


def test_the_timeout_holds_for_a_server_that_falls_silent(sandbox: Sandbox) -> None:
    asleep = threading.Event()

    async def body() -> AsyncIterator[bytes]:
        yield A.encode()
        await asyncio.get_running_loop().run_in_executor(None, asleep.wait)

    sandbox.answer = lambda _: web.Response(body=body())
    try:
        said = refusal(f"{sandbox.url}/list.txt", timeout=1)
    finally:
        asleep.set()

    assert "raise request_timeout" in said


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://b/l.txt", {"s3": {"config_kwargs": SECONDS}}),
        ("s3a://b/l.txt", {"s3a": {"config_kwargs": SECONDS}}),
        ("gs://b/l.txt", {"gs": {"requests_timeout": TIMEOUT}}),
        (
            "https://host/l.txt",
            {"https": {"client_kwargs": {"timeout": TIMEOUT}, "block_size": 0}},
        ),
        ("simplecache::gcs://b/l.txt", {"gcs": {"requests_timeout": TIMEOUT}}),
        ("zip://l.txt::s3://b/l.zip", {"s3": {"config_kwargs": SECONDS}}),
        ("az://c/l.txt", {}),
        ("C:\\l.txt", {}),
    ],
)
def test_each_place_is_told_the_timeout_in_its_own_words(
    url: str, told: dict[str, Any]
) -> None:
    assert timeouts(url, 7) == told


def test_what_the_environment_says_of_a_place_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        fsspec.config.conf, "s3", {"config_kwargs": {"signature_version": "s3v4"}}
    )

    assert timeouts("simplecache::s3a://b/l.txt", 7)["s3a"]["config_kwargs"] == {
        **SECONDS,
        "signature_version": "s3v4",
    }


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("s3://bucket/list.txt", "s3fs", "s3"),
        ("gs://bucket/list.txt", "gcsfs", "gcs"),
        ("az://container/list.txt", "adlfs", "azure"),
    ],
)
def test_a_missing_package_is_told_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    said = refusal(url)

    assert f"pip install 'tap-kommo-chats[{extra}]'" in said


def test_a_missing_package_beyond_the_extras_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "paramiko", None)

    assert "paramiko" in refusal("sftp://example.com/list.txt")


def test_a_scheme_that_nobody_knows_is_refused() -> None:
    assert "check the setting" in refusal("nonsense://bucket/list.txt")


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        ("list.txt", 10_000, 100_000),
        ("list.csv", 1000, 10_000),
        ("list.jsonl", 1000, 10_000),
        ("list.csv.gz", 1000, 10_000),
    ],
)
def test_memory_stays_flat_however_long_the_list_is(
    write: Write, name: str, few: int, many: int
) -> None:
    def peak(lines: int) -> int:
        ids = (f"{A[:-12]}{number:012}" for number in range(lines))
        if name.endswith(".jsonl"):
            content = "\n".join(json.dumps({"conversation_id": id_}) for id_ in ids)
        else:
            content = "\n".join(["conversation_id", *ids])
        path = write(name, content)
        return peak_of(FileSource(str(path), lambda _: None, 30))

    peak(10)
    assert peak(many) < 1.2 * peak(few)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[IO[str]]:
    """The files that fsspec has opened."""
    handles: list[IO[str]] = []
    enter = fsspec.core.OpenFile.__enter__

    def watched(file: fsspec.core.OpenFile) -> IO[str]:
        handle: IO[str] = enter(file)
        handles.append(handle)
        return handle

    monkeypatch.setattr(fsspec.core.OpenFile, "__enter__", watched)
    return handles


def test_a_file_is_closed_at_its_end(write: Write, opened: list[IO[str]]) -> None:
    read(write("list.txt", TEXT))

    assert [handle.closed for handle in opened] == [True]


def test_a_file_is_closed_when_the_reading_is_broken_off(
    write: Write, opened: list[IO[str]]
) -> None:
    conversations = iter(FileSource(str(write("list.txt", TEXT)), lambda _: None, 30))
    next(conversations)
    assert [handle.closed for handle in opened] == [False]

    del conversations

    assert [handle.closed for handle in opened] == [True]


def test_a_file_is_opened_only_when_it_is_read(opened: list[IO[str]]) -> None:
    FileSource("list.txt", lambda _: None, 30)

    assert opened == []
