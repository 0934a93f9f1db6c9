"""The commands and queries of the README and of docs/, run as they stand there.

`WAYS` says how each kind of command is run. A command that is none of them fails, so
the documents cannot get one that nobody tried.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pytest
import yaml

from sandbox import ACCOUNT_ID, OWN_ORIGIN, Sandbox, seeded_crm, seeded_store
from tap_kommo_chats.tap import STREAMS
from tests.project import test_anywhere as anywhere
from tests.project import test_by_hand as by_hand
from tests.project.test_own_project import block_of_the_readme
from tests.support.airflow import Airflow
from tests.support.foreign_project import ForeignProject
from tests.support.marks import LONG
from tests.support.meltano_project import TAP, share_plugins, utility
from tests.support.onlooker import Onlooker
from tests.support.tap import config_for, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
)
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```([a-z]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONTINUED = re.compile(r"\s*\\\n\s*")
IN_VENV = ".venv/bin/"
PROGRAM = r"(?:\.venv/bin/)?"
SHELLS = {"sh", "bash", "console"}
SETTING = re.compile(r"([A-Z][A-Z0-9_]*)=(?:'[^']*'|\"[^\"]*\"|\S)*")


@dataclass(frozen=True)
class Place:
    """Where a command is run.

    Attributes:
        folder: Is current. It has the environment as `.venv`, a `config.json` and a
            `state.json`.
        sandbox: What the settings lead to.
        request: Gives further fixtures.
    """

    folder: Path
    sandbox: Sandbox
    request: pytest.FixtureRequest


class Way(NamedTuple):
    """How commands of one kind are tried.

    Attributes:
        pattern: Matches such a command, without the settings in front of it.
        tried: Does it.
        marks: Those of the test.
    """

    pattern: str
    tried: Callable[[Place, str], None]
    marks: Sequence[pytest.MarkDecorator] = ()


def is_a_setting(_place: Place, line: str) -> None:
    """Try a line of `.env`: the project has to have the setting."""
    assert line.partition("=")[0] in set(setting_variables())


def runs(place: Place, line: str) -> None:
    """Run a command that says something and asks nothing."""
    assert shell(line, place.folder)
    assert not place.sandbox.requests


def reads(place: Place, line: str) -> None:
    """Run a command that reads from Kommo."""
    if "catalog.json" in line:
        shell("tap-kommo-chats --discover > catalog.json", place.folder)
    shell(line, place.folder)
    assert place.sandbox.requests


def loads(place: Place, line: str) -> None:
    """Run a command that lets Meltano read and load.

    It is run in the project's folder, as the tap is installed from there.
    """
    in_project(line)
    assert place.sandbox.requests


def loads_into_duckdb(place: Place, line: str) -> None:
    """Run a command that needs the DuckDB loader."""
    if sys.version_info >= (3, 14):
        pytest.skip("the DuckDB loader is not built for 3.14")
    loads(place, line)
    assert (place.folder / "kommo.duckdb").exists()


def loads_and_builds(place: Place, line: str) -> None:
    """Run a command that makes tables of what it loads."""
    if "dbt-postgres" in line:
        utility("dbt-postgres")
        loads_into_postgres(place, line)
    else:
        utility("dbt-duckdb")
        loads_into_duckdb(place, line)


def loads_into_files(place: Place, line: str) -> None:
    """Run a command that writes JSON Lines."""
    loads(place, line)
    assert (place.folder / "chat_history.jsonl").exists()


def loads_into_postgres(place: Place, line: str) -> None:
    """Run a command that needs a PostgreSQL server, which the tests bring along."""
    server = place.request.getfixturevalue("postgres")
    monkeypatch = place.request.getfixturevalue("monkeypatch")
    for name in ("host", "port", "user", "password"):
        monkeypatch.setenv(
            f"TARGET_POSTGRES_{name.upper()}", str(getattr(server, name))
        )
    monkeypatch.setenv("TARGET_POSTGRES_DATABASE", server.create_database())
    loads(place, line)


def keeps_settings_to_the_user(place: Place, line: str) -> None:
    """Run Meltano after a command that decides who may read what it writes."""
    onlooker = Onlooker(place.folder / "meltano", place.sandbox.secret)
    place.sandbox.answer = onlooker
    in_project(f"{line} && meltano run {TAP} target-jsonl")
    assert onlooker.hidden
    assert not onlooker.open


def closes_what_a_killed_run_left(place: Place, line: str) -> None:
    """Run a command on settings that are open to all."""
    run = place.folder / ".meltano" / "run" / TAP
    run.mkdir(parents=True)
    (place.folder / "output").mkdir()
    left = run / "tap.1.config.json"
    left.touch()
    left.chmod(0o644)
    shell(line, place.folder)
    assert not left.exists() or left.stat().st_mode & 0o077 == 0


def is_walked(_place: Place, line: str) -> None:
    """Look up a command that another test runs, with those beside it."""
    assert line in block_of_the_readme().splitlines()


def is_done_by_hand(_place: Place, line: str) -> None:
    """Look up a command that is run with those around it."""
    assert line in {*by_hand.COMMANDS, *anywhere.BLOCK.splitlines()}


def is_run_by_ci(_place: Place, line: str) -> None:
    """Look up a command that cannot be part of a test, because the tests are of it."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    whole = [
        step
        for command in script.splitlines()
        if command.startswith("make ")
        for step in steps(command)
    ]
    assert set(steps(line)) <= set(whole)


def is_run_by_the_demo(_place: Place, line: str) -> None:
    """Look up a command on the analysts' tables, which the demo makes and tests run."""
    script = (ROOT / "scripts" / "demo.py").read_text(encoding="utf-8")
    assert f'"{line.rsplit(maxsplit=1)[-1]}"' in script


def is_run_by_a_workflow(_place: Place, line: str) -> None:
    """Look up a command that takes minutes, which GitHub runs every week."""
    workflow = ROOT / ".github" / "workflows" / "bench.yml"
    assert f"run: {line} PYTHON=python\n" in workflow.read_text(encoding="utf-8")


def is_known_to_make(_place: Place, line: str) -> None:
    """Let make say what it would do, where doing it takes minutes or changes files."""
    steps(line)


def is_taken_by_airflow(place: Place, line: str) -> None:
    """Run a command for an operator of Airflow, on one that is empty."""
    airflow = Airflow(place.folder / "airflow", {})
    airflow.create()
    airflow.command(*shlex.split(line)[1:])


def is_taken_by_a_shell(place: Place, line: str) -> None:
    """Set a variable of the environment that the project or Airflow looks at."""
    name = line.removeprefix("export ").partition("=")[0]
    value = shell(f'{line} && printf %s "${name}"', place.folder)
    assert name.startswith(("AIRFLOW_", "MELTANO_"))
    if name.startswith("AIRFLOW_CONN_"):
        assert json.loads(value)["conn_type"]


def installs_a_package_of_this_folder(_place: Place, line: str) -> None:
    """Look up what a command installs; a test of the packages does so."""
    folder = shlex.split(line)[-1]
    assert (ROOT / folder / "pyproject.toml").exists()


def would_install_a_group(place: Place, line: str) -> None:
    """Let uv say what it would install, in an environment that is the tests'."""
    said = shell(f"cd {ROOT} && {place.folder}/{line} --dry-run", place.folder)
    assert "Would install" in said


def is_an_extra_of_meltano(_place: Place, line: str) -> None:
    """Look up an extra that a command installs."""
    extra = shlex.split(line)[-1].removeprefix("meltano[").removesuffix("]")
    assert extra in (metadata("meltano").get_all("Provides-Extra") or [])


def installs_plugins(_place: Place, line: str) -> None:
    """Let Meltano install plugins, which are there."""
    in_project(line)


def searches_once_for_all_shards(place: Place, line: str) -> None:
    """Load with settings from a file beside the project's."""
    name = re.findall(r"--env-file=(\S+)", line)[0]
    is_search = name == "search.env"
    found = place.folder / "north.jsonl.gz"
    monkeypatch = place.request.getfixturevalue("monkeypatch")
    monkeypatch.delenv("TAP_KOMMO_CHATS_CONVERSATION_IDS")
    settings = {
        "CRM_URL": place.sandbox.url,
        "CRM_ACCESS_TOKEN": place.sandbox.crm_token,
    }
    if is_search:
        settings["FOUND_TALKS_FILE"] = str(found)
        for own in ("CHANNEL_SECRET", "SCOPE_ID"):
            monkeypatch.delenv(f"TAP_KOMMO_CHATS_{own}")
    else:
        keep_talks(place.sandbox.store.conversation_ids(), found)
        settings["CRM_ORIGINS"] = json.dumps([OWN_ORIGIN])
        settings["CONVERSATIONS_FILE"] = str(found)
        settings["SEARCH_CRM"] = "false"
    file = place.folder / name
    lines = [f"TAP_KOMMO_CHATS_{key}={value}" for key, value in settings.items()]
    file.write_text("\n".join(lines), encoding="utf-8")
    loads_into_postgres(place, line.replace(name, str(file)))
    assert found.exists()
    asked = {seen.conversation_id is None for seen in place.sandbox.requests}
    assert asked == {is_search}


def keep_talks(conversation_ids: Sequence[str], file: Path) -> None:
    """Write what a search of the CRM keeps, with a talk for each conversation."""
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        for number, id_ in enumerate(conversation_ids, start=1):
            talk = {
                "conversation_id": id_,
                "talk_id": number,
                "origin": OWN_ORIGIN,
                "account_id": ACCOUNT_ID,
            }
            lines.write(f"{json.dumps(talk)}\n")


def tells_or_clears_a_state(place: Place, line: str) -> None:
    """Run a command on a state, which has to be there."""
    in_project(
        f"meltano state set --force {shlex.split(line)[-1]}"
        ' \'{"singer_state": {"bookmarks": {}}}\''
    )
    in_project(line)
    assert not place.sandbox.requests


def copies_a_state(place: Place, line: str) -> None:
    """Run a command that copies a state, which has to be there."""
    source, copy = shlex.split(line)[-2:]
    state = json.dumps({"singer_state": {"bookmarks": {}}})
    in_project(f"meltano state set --force {source} '{state}'")
    in_project(line)
    assert copy in in_project("meltano state list")
    assert not place.sandbox.requests


WAYS = (
    Way("", is_a_setting),
    Way(r"umask 077", keeps_settings_to_the_user),
    Way(r"chmod .*|find \.meltano/run .*", closes_what_a_killed_run_left),
    # They are what .ci/run is made of.
    Way(r"make (demo|test|test-all)", is_run_by_ci),
    Way(r"make bench", is_run_by_a_workflow),
    # `setup` is the first step of each of them, and the rest changes this folder.
    Way(r"make [a-z-]+( [A-Z]+=\S+)?", is_known_to_make),
    Way(
        r"(echo|test|mkdir|ln) .*|.* \| target-jsonl .*"
        r"|(\.venv/bin/)?(python|dotenv) .*",
        is_done_by_hand,
    ),
    Way(PROGRAM + r"tap-kommo-chats .*(--about|--discover|--version|--help).*", runs),
    Way(PROGRAM + r"tap-kommo-chats .*--config.*", reads),
    Way(r"export [A-Z_]+=.*", is_taken_by_a_shell),
    Way(r"pip install \./\S+", installs_a_package_of_this_folder),
    Way(PROGRAM + r"uv sync .*", would_install_a_group),
    Way(r"pip install 'meltano\[\w+\]'", is_an_extra_of_meltano),
    Way(PROGRAM + r"meltano install .*", installs_plugins),
    Way(PROGRAM + r"meltano --env-file=.*", searches_once_for_all_shards, [LONG]),
    Way(PROGRAM + r"meltano state (get|clear) .*", tells_or_clears_a_state, [LONG]),
    Way(PROGRAM + r"meltano run .* dbt-[a-z]+:build", loads_and_builds, [LONG]),
    Way(PROGRAM + r"meltano run kommo-report:page", is_run_by_the_demo),
    Way(PROGRAM + r"meltano .*\brun\b.* target-duckdb.*", loads_into_duckdb),
    Way(PROGRAM + r"meltano .*\brun\b.* target-jsonl.*", loads_into_files, [LONG]),
    Way(
        PROGRAM + r"meltano .*\b(run|el)\b.* target-postgres.*",
        loads_into_postgres,
        [LONG],
    ),
    Way(PROGRAM + r"meltano invoke tap-kommo-chats:check", loads),
    Way(r"meltano (init|add) .*|cd .*", is_walked),
    Way(PROGRAM + r"meltano state copy .*", copies_a_state, [LONG]),
    Way(
        r"airflow .*",
        is_taken_by_airflow,
        [pytest.mark.slow(reason="Airflow has an environment of its own")],
    ),
)


def fenced_commands(text: str) -> Iterator[str]:
    """Find the commands in blocks for a shell: one a line, without comments."""
    blocks = [block for language, block in BLOCK.findall(text) if language in SHELLS]
    for block in blocks:
        for line in CONTINUED.sub(" ", block).splitlines():
            command = re.sub(r"(^|\s+)#\s.*", "", line.strip().removeprefix("$ "))
            if command:
                yield command


def spoken_commands(text: str) -> Iterator[str]:
    """Find the commands within sentences: a program, and what it is told."""
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", BLOCK.sub("", text)):
        command = " ".join(span.split())
        if re.match(PROGRAM + r"(make|meltano \S+|tap-kommo-chats) \S", command):
            yield command


def commands_of(text: str) -> list[str]:
    """Find all commands, each once, whether or not it says where the program is."""
    found: dict[str, str] = {}
    for command in (*fenced_commands(text), *spoken_commands(text)):
        found.setdefault(command.replace(IN_VENV, ""), command)
    return list(found.values())


def without_settings(line: str) -> str:
    while match := SETTING.match(line):
        line = line[match.end() :].lstrip()
    return line


def ways_of(line: str) -> Iterator[Way]:
    command = without_settings(line)
    return (way for way in WAYS if re.fullmatch(way.pattern, command))


def way_of(line: str) -> Way:
    for way in ways_of(line):
        return way
    message = (
        f"The README or docs/ has a command that no test runs: {line}\n"
        "Add a line to WAYS in tests/project/test_documents.py that says how it is"
        " tried."
    )
    pytest.fail(message)


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    seeded_sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    config = config_for(seeded_sandbox)
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name, value in variables(config, meltanos_own(tmp_path), tmp_path):
        monkeypatch.setenv(name, value)
    return Place(tmp_path, seeded_sandbox, request)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=[mark for way in ways_of(line) for mark in way.marks])
        for line in commands_of(DOCUMENTS)
    ],
)
def test_a_command_of_the_documents_works(line: str, place: Place) -> None:
    way_of(line).tried(place, line)


def test_whoever_runs_meltano_by_a_block_keeps_its_files_to_themselves() -> None:
    blocks = [
        block
        for language, block in BLOCK.findall(DOCUMENTS)
        if language in SHELLS and re.search(r"\bmeltano (run|el|invoke) ", block)
    ]

    assert blocks
    assert all(block.startswith("umask 077\n") for block in blocks)


def test_a_command_that_no_test_knows_is_told() -> None:
    with pytest.raises(pytest.fail.Exception, match="no test runs: docker run tap"):
        way_of("docker run tap")


def test_a_setting_that_the_project_has_not_is_told(place: Place) -> None:
    line = "TAP_KOMMO_CHATS_SECRET=..."

    with pytest.raises(AssertionError):
        way_of(line).tried(place, line)


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    text = (
        "Run `make\nsetup`, not `make` or `x=1`.\n\n"
        "```sh\n# first\nmake test  # next\n```\n"
        "```sh\nA='1 2' tap-kommo-chats \\\n  --about\n```\n"
        "```sh\n.venv/bin/meltano run a b\n```\nand `meltano run a b`\n"
        "```json\nmake demo\n```\n"
    )

    assert commands_of(text) == [
        "make test",
        "A='1 2' tap-kommo-chats --about",
        ".venv/bin/meltano run a b",
        "make setup",
    ]


def shell(line: str, folder: Path) -> str:
    """Run a command as a reader would, and return all it wrote."""
    sh = shutil.which("sh")
    assert sh
    done = subprocess.run(
        [sh, "-c", line],
        cwd=folder,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def steps(line: str) -> list[str]:
    """Let make say what it would do for a command."""
    make = shutil.which("make")
    assert make
    _, *arguments = shlex.split(line)
    done = subprocess.run(
        [make, "--dry-run", *arguments, f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def in_project(line: str) -> str:
    """Run a command of Meltano in the project, without a developer's `.env`."""
    meltano = f"meltano --env-file={os.devnull} "
    line = line.replace(IN_VENV, "")
    return shell(
        line if "--env-file=" in line else line.replace("meltano ", meltano, 1), ROOT
    )


def setting_variables() -> Iterator[str]:
    """The environment variables of all plugins' settings."""
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    for plugins in project["plugins"].values():
        for plugin in plugins:
            for setting in plugin["settings"]:
                name = f"{plugin['name']}_{setting['name']}"
                yield name.replace("-", "_").upper()


def meltanos_own(folder: Path) -> Path:
    """Make a folder for Meltano's state, with the plugins that are installed."""
    own = folder / "meltano"
    own.mkdir()
    share_plugins(own)
    return own


def variables(
    config: dict[str, object], own: Path, folder: Path
) -> Iterable[tuple[str, str]]:
    """What a command finds in its environment: the sandbox, and this test's folder."""
    for name, value in config.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"TAP_KOMMO_CHATS_{name.upper()}", text
    yield "PATH", os.pathsep.join([str(BIN), os.environ["PATH"]])
    yield "MELTANO_PROJECT_ROOT", str(ROOT)
    yield "MELTANO_SYS_DIR_ROOT", str(own)
    yield "MELTANO_CLI_DISABLE_VERSION_CHECK", "true"
    yield "NO_COLOR", "1"
    yield "TARGET_DUCKDB_FILEPATH", str(folder / "kommo.duckdb")
    yield "TARGET_JSONL_DESTINATION_PATH", str(folder)
    yield "TARGET_JSONL_DO_TIMESTAMP_FILE", "false"


def test_the_queries_of_the_documents_give_rows(
    seeded_sandbox: Sandbox, tmp_path: Path
) -> None:
    store = seeded_sandbox.store
    with Sandbox(store, seeded_crm(store)) as sandbox:
        output = run(
            {
                **config_for(sandbox),
                "crm_url": sandbox.url,
                "crm_access_token": sandbox.crm_token,
                "crm_origins": [OWN_ORIGIN],
                "native_channels": True,
            }
        )
    queries = queries_for("DuckDB")
    with duckdb.connect() as database:
        for stream in sorted(kind.shape.stream for kind in STREAMS):
            path = tmp_path / f"{stream}.jsonl"
            lines = (json.dumps(r, default=str) for r in output.records_of(stream))
            path.write_text("\n".join(lines), encoding="utf-8")
            database.execute(f"CREATE TABLE {stream} AS FROM read_json_auto('{path}')")
            # Ids are text, though some look like UUIDs only.
            for name, kind, *_ in database.execute(f"DESCRIBE {stream}").fetchall():
                if kind == "UUID":
                    database.execute(f"ALTER TABLE {stream} ALTER {name} TYPE TEXT")

        assert queries
        assert all(database.execute(query).fetchall() for query in queries)


@LONG
def test_the_queries_of_the_documents_give_rows_in_postgres(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    store, database = seeded_store(), postgres.create_database()
    with Sandbox(store, seeded_crm(store)) as sandbox:
        config = {
            **config_for(sandbox),
            "crm_url": sandbox.url,
            "crm_access_token": sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
            "native_channels": True,
        }
        project = ForeignProject(tmp_path, config)
        ended = project.meltano(
            *("run", "--no-install", TAP, "target-postgres"),
            env=postgres.settings_of_the_loader(database),
        )
    assert ended.code == 0, ended.said
    with postgres.connect(database) as connection:
        connection.execute("SET search_path TO kommo")
        for query in queries_for("PostgreSQL"):
            assert connection.execute(query.encode()).fetchall(), query


def queries_for(engine: str) -> list[str]:
    """The documents' queries for an engine: those for all, and those that name it."""
    return [
        # As the tap does.
        block.replace(":account_id", str(ACCOUNT_ID))
        for language, block in BLOCK.findall(DOCUMENTS)
        # Those of the models' tables are put where there are some.
        if language == "sql" and "FROM kommo_" not in block
        if not block.startswith("-- ") or block.startswith(f"-- {engine}\n")
    ]
