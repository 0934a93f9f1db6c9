"""Which room of the package may import which: only those that stand below it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tap_kommo_chats

PACKAGE = Path(tap_kommo_chats.__file__).parent
LEVELS = (
    *({"tap"}, {"streams", "check"}, {"run"}, {"sources"}, {"kommo", "state"}),
    *({"records"}, {"leaves"}),
)
"""From the top down. Rooms of one level do not know each other."""

WITHOUT_SINGER = {"check", "run", "sources", "kommo", "state"}
PAGINATION = "singer_sdk.pagination"
"""The one thing of Singer's that a room below the streams takes."""


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Name all modules that one imports, and what it takes of them, for types too."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = {
        alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names
    }
    froms = [n for n in nodes if isinstance(n, ast.ImportFrom)]
    return plain | {
        name
        for n in froms
        for a in n.names
        for name in (str(n.module), f"{n.module}.{a.name}")
    }


IMPORTS = {module_name(path): imported(path) for path in PACKAGE.rglob("*.py")}
OURS = {module: names & IMPORTS.keys() for module, names in IMPORTS.items()}


def room(module: str) -> str:
    name = [*module.split("."), "leaves"][1]
    name = "tap" if name in {"__main__", "process", "command"} else name
    return name if any(name in level for level in LEVELS) else "leaves"


def level(module: str) -> int:
    return next(n for n, rooms in enumerate(LEVELS) if room(module) in rooms)


@pytest.mark.parametrize("module", IMPORTS)
def test_a_module_imports_what_stands_below_its_room(module: str) -> None:
    others = {name for name in OURS[module] if room(name) != room(module)}

    assert not [name for name in others if level(name) <= level(module)]


def test_there_is_no_circle_of_imports() -> None:
    TopologicalSorter(OURS).prepare()


@pytest.mark.parametrize("module", [m for m in IMPORTS if room(m) in WITHOUT_SINGER])
def test_a_room_below_the_streams_knows_nothing_of_singer(module: str) -> None:
    of_singer = {name for name in IMPORTS[module] if name.startswith("singer_sdk")}

    assert all(name.startswith(PAGINATION) for name in of_singer)


@pytest.mark.parametrize("module", [m for m in IMPORTS if room(m) == "kommo"])
def test_the_clients_know_no_settings(module: str) -> None:
    settings = f"{PACKAGE.name}.settings"

    assert not [name for name in IMPORTS[module] if name.startswith(settings)]
