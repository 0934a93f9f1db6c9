"""The links between the documents."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`[^`]*`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links_of(text: str) -> Iterator[str]:
    """Find where links within the project lead to, from code apart."""
    for target in LINK.findall(SPAN.sub("", BLOCK.sub("", text))):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors_of(text: str) -> set[str]:
    """Find what a link may have after its `#`, as GitHub makes it of headings."""
    times: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(BLOCK.sub("", text)):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{name}-{times[name]}" if times[name] else name)
        times[name] += 1
    return found


def leads_somewhere(document: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    to = document.parent / path if path else document
    return to.exists() and (
        not anchor or anchor in anchors_of(to.read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_each_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = links_of(document.read_text(encoding="utf-8"))

    assert not [target for target in links if not leads_somewhere(document, target)]


def test_the_readme_leads_to_each_page() -> None:
    links = links_of((ROOT / "README.md").read_text(encoding="utf-8"))

    assert {path.name for path in ROOT.glob("docs/*.md")} <= {
        Path(target).name for target in links
    }


@pytest.mark.parametrize(
    "target",
    ["gone.md", "page.md#gone", "#gone", "page.md#code", "page.md#twice-2", "sub/"],
)
def test_a_link_that_leads_nowhere_is_found(target: str, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# Here\n```sh\n# code\n```\n## Twice\n## Twice\n", "utf-8")

    assert not leads_somewhere(document, target)


@pytest.mark.parametrize(
    "target", ["page.md", "#here-it-is", "page.md#twice-1", "#a_b-one-c-d", "."]
)
def test_a_link_that_leads_somewhere_is_none_of_them(
    target: str, tmp_path: Path
) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "# Here, it is\n## Twice\n## Twice\n## `a_b`: one (c) d\n", "utf-8"
    )

    assert leads_somewhere(document, target)


def test_links_are_told_from_code_and_from_other_places() -> None:
    text = "[a](x.md), `[b](y.md)`, [c](https://example.com)\n```\n[d](z.md)\n```\n"

    assert list(links_of(text)) == ["x.md"]
