"""Which models dbt could not build."""

from __future__ import annotations

from airflow_kommo_chats.models import failed, stopped

OUTPUT = """
12:00:01  3 of 9 ERROR creating sql view model main.kommo_waits [\x1b[31mERROR\x1b[0m]
12:00:02  Failure in test unique_kommo_talks_talk_id (models/schema.yml)
12:00:02    Got 2 results, configured to fail if != 0
12:00:02  \x1b[31m  Database Error in model kommo_waits (models/kommo_waits.sql)\x1b[0m
12:00:02    column "nothing" does not exist
12:00:02  Database Error in model kommo_waits (models/kommo_waits.sql)
12:00:02  Database Error in test unique_x (models/schema.yml)
12:00:02  Database Error in test unique_x (models/schema.yml)
12:00:02    permission denied
12:00:02  Done. PASS=7 WARN=0 ERROR=2 SKIP=0 TOTAL=9
"""


def test_what_failed_is_named_once_with_its_reason() -> None:
    assert failed(OUTPUT) == [
        "test unique_kommo_talks_talk_id (Got 2 results, configured to fail if != 0)",
        'model kommo_waits (column "nothing" does not exist)',
        "test unique_x (permission denied)",
    ]


def test_dbt_that_did_not_get_as_far_as_a_model_says_why() -> None:
    output = "Encountered an error:\nRuntime Error\n  Could not find profile 'kommo'\n"

    assert failed(output) == []
    assert stopped(output) == "dbt: Runtime Error: Could not find profile 'kommo'"
    assert stopped("") == ""
