"""The accounts of the tests: their zones, users and office hours."""

from __future__ import annotations

from datetime import date

from tests.transform.world import Holiday, Hours

NEW_YORK, LISBON, HAVANA, NOWHERE = 11, 22, 33, 44
ZONES = {
    NEW_YORK: "America/New_York",
    LISBON: "Europe/Lisbon",
    # Its clock shows midnight twice, in autumn.
    HAVANA: "America/Havana",
    NOWHERE: "Mars/Olympus",
}
USERS = (1, 2, 3)
GONE_USER = 9
AMOJO_USERS = {1: "amojo-1", 2: "amojo-2"}

HOURS = (
    *(Hours(None, day, "09:00", "13:00") for day in range(1, 6)),
    *(Hours(None, day, "14:00", "18:30") for day in range(1, 6)),
    # Open at night, when the clock is changed; two lines overlap.
    *(Hours(LISBON, day, "00:00", "02:30") for day in range(1, 8)),
    *(Hours(LISBON, day, "01:30", "08:00") for day in range(1, 8)),
    *(Hours(LISBON, day, "22:00", "24:00") for day in range(1, 8)),
    *(Hours(HAVANA, day, "00:00", "24:00") for day in (6, 7)),
)
HOLIDAYS = (
    Holiday(None, date(2025, 1, 1)),
    Holiday(NEW_YORK, date(2024, 11, 28)),
    Holiday(LISBON, date(2024, 3, 29)),
)
