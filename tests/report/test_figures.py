"""What the page shows is computed from waits, of the account and the days asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kommo_report.figures import Figures, Scope, figures
from kommo_report.warehouse import asking
from tests.report.tables import ACCOUNT, LAST, Tables, days_before

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.postgres import PostgresServer


@pytest.fixture(params=["duckdb", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "duckdb":
        return f"duckdb:///{tmp_path / 'tables.duckdb'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    place = f"{server.host}:{server.port}/{server.create_database()}"
    return f"postgresql+psycopg://{server.user}:{server.password}@{place}"


@pytest.fixture
def look(url: str) -> Callable[..., Figures]:
    def look(tables: Tables, days: int = 90, account_id: int | None = None) -> Figures:
        tables.write(url)
        with asking(url) as ask:
            return figures(ask, Scope(None, days, account_id))

    return look


def test_a_median_is_that_of_all_waits_and_no_mean_of_medians(
    look: Callable[..., Figures],
) -> None:
    tables = Tables()
    tables.message()
    for seconds in (10, 20, 30, 5000):
        tables.wait(seconds)
    tables.wait(1000, started_day=days_before(1))

    found = look(tables)

    assert found.all is not None
    assert (found.all.waits, found.all.median_s, found.all.share) == (5, 30, 0.6)
    assert found.all.p90_s == pytest.approx(3400)


def test_first_responses_go_by_channel_and_all_waits_by_who_ended_them(
    look: Callable[..., Figures],
) -> None:
    tables = Tables()
    tables.message()
    tables.wait(10)
    tables.wait(50, is_first_of_talk=False)
    tables.wait(70, origin="telegram", replied_by="unknown", replied_by_name="Phone")

    found = look(tables)

    assert {each.name: each.median_s for each in found.channels} == {
        "waba": 10,
        "telegram": 70,
    }
    assert {each.name: each.median_s for each in found.agents} == {
        "Ana": 30,
        "Phone (unknown)": 70,
    }


def test_what_is_older_and_what_is_another_accounts_is_left_out(
    look: Callable[..., Figures],
) -> None:
    tables = Tables()
    tables.message("a")
    tables.message("b", account_id=8)
    tables.message("c", local_day=days_before(10))
    tables.wait(10)
    tables.wait(20, account_id=8)
    tables.wait(30, started_day=days_before(10))
    tables.waiting("a")
    tables.waiting("b", account_id=8)

    found = look(tables, days=10, account_id=ACCOUNT)

    assert found.all is not None
    assert (found.all.waits, found.conversations, found.waiting_count) == (1, 1, 1)


def test_each_wait_has_one_fate_in_the_period_in_which_it_began(
    look: Callable[..., Figures],
) -> None:
    tables = Tables()
    tables.message()
    tables.wait(10)
    tables.wait(1000)
    tables.wait(None, started_day=days_before(2))
    tables.wait(None, state="closed", is_within_target=None)
    tables.wait(None, state="waiting", is_within_target=None)

    found = look(tables)

    assert found.step == "day"
    assert [(p.name, p.fates, p.median_s) for p in found.periods] == [
        ("2026-03-29", {"expired": 1}, None),
        # A day without any keeps its place.
        ("2026-03-30", {}, None),
        (
            "2026-03-31",
            {"in time": 1, "late": 1, "closed unanswered": 1, "waiting": 1},
            505,
        ),
    ]


@pytest.mark.parametrize(("days", "step"), [(62, "day"), (63, "week"), (371, "month")])
def test_a_long_time_is_told_by_weeks_and_a_longer_one_by_months(
    look: Callable[..., Figures], days: int, step: str
) -> None:
    tables = Tables()
    tables.message()
    tables.wait(10)
    tables.wait(10, started_day=days_before(days))

    assert look(tables, days=1000).step == step


def test_who_waits_longest_comes_first(look: Callable[..., Figures]) -> None:
    tables = Tables()
    tables.message()
    for number in range(30):
        tables.waiting(f"c{number}")

    found = look(tables)

    assert found.waiting_count == 30
    assert [row.conversation_id for row in found.waiting] == [
        f"c{number}" for number in range(25)
    ]


def test_tables_without_a_row_have_figures(look: Callable[..., Figures]) -> None:
    found = look(Tables())

    assert (found.until, found.all, found.periods, found.waiting) == (
        None,
        None,
        [],
        [],
    )


def test_the_last_day_is_that_of_the_last_message(look: Callable[..., Figures]) -> None:
    tables = Tables()
    tables.message()
    tables.message(local_day=days_before(400))

    assert look(tables).until == LAST
