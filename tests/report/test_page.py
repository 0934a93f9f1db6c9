"""The page stands alone, shows what it is given as text, and says what went wrong."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from kommo_report.__main__ import main
from tests.report.tables import Tables, days_before
from tests.support.marks import LONG

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "<script>alert(1)</script></script><!-- ünïcode ✓"


@pytest.fixture
def tables() -> Tables:
    tables = Tables()
    tables.message()
    for number in range(40):
        tables.wait(60 * number, started_day=days_before(number))
        tables.wait(90 * number, replied_by_name=HOSTILE, origin=HOSTILE)
    tables.waiting("a", status_name=HOSTILE, responsible_name=None, origin=None)
    return tables


@pytest.fixture
def page(tables: Tables, tmp_path: Path) -> Path:
    url = f"duckdb:///{tmp_path / 'tables.duckdb'}"
    tables.write(url)
    file = tmp_path / "new" / "report.html"
    assert main(["--database", url, "--output", str(file)]) == 0
    return file


def test_a_name_is_text_and_no_part_of_the_page(page: Path) -> None:
    html = page.read_text(encoding="utf-8")

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_nothing_is_fetched_from_anywhere(page: Path) -> None:
    html = page.read_text(encoding="utf-8")

    assert not re.findall(
        r"<(?:link|img|iframe)\b|\bsrc=|@import", html.split("<script")[0]
    )
    assert "default-src 'none'" in html


@LONG
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_an_error_or_a_request(
    page: Path, scheme: str, width: int
) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (slow to import)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox"]
        )
        context = browser.new_context(
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 900},
        )
        shown = context.new_page()
        said, asked = listen(shown)
        shown.goto(page.as_uri())
        for name in ("channels", "agents", "fates", "medians"):
            shown.wait_for_selector(f"#{name} svg")
        across = shown.evaluate("document.documentElement.scrollWidth")
        ink = shown.evaluate("getComputedStyle(document.body).color")
        browser.close()

    assert said == []
    assert asked == [page.as_uri()]
    assert across == width
    assert (ink == "rgb(232, 234, 239)") == (scheme == "dark")


def listen(shown: Page) -> tuple[list[str], list[str]]:
    """Collect what a page says of errors, and what it asks for."""
    said: list[str] = []
    asked: list[str] = []
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on(
        "console",
        lambda line: (
            said.append(line.text) if line.type in {"error", "warning"} else None
        ),
    )
    shown.on("request", lambda request: asked.append(request.url))
    return said, asked


@pytest.mark.parametrize(
    "url",
    [
        "duckdb:///{folder}/missing.duckdb",
        "duckdb:///{folder}/empty.duckdb",
        "postgresql+psycopg://me:s3cret@127.0.0.1:9/x",
        "nosuch://me:s3cret@host/x",
        "no url",
    ],
)
def test_a_warehouse_that_cannot_be_asked_is_one_line_without_its_password(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Tables().write(f"duckdb:///{tmp_path / 'other.duckdb'}")
    database = url.format(folder=tmp_path)

    code = main(["--database", database, "--output", str(tmp_path / "r.html")])

    said = capsys.readouterr().err
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "s3cret" not in said


def test_a_page_that_cannot_be_written_is_one_line(
    tables: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"duckdb:///{tmp_path / 'tables.duckdb'}"
    tables.write(url)
    (tmp_path / "file").touch()

    code = main(["--database", url, "--output", str(tmp_path / "file" / "r.html")])

    assert code == 1
    assert "--output" in capsys.readouterr().err


def test_tables_without_a_row_make_a_page(tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path / 'tables.duckdb'}"
    Tables().write(url)
    file = tmp_path / "report.html"

    assert main(["--database", url, "--output", str(file)]) == 0
    assert "There is no message" in file.read_text(encoding="utf-8")
