"""The check as a command of the Meltano project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandbox import Terms
from tests.support.check import CheckedAccount
from tests.support.meltano_project import TAP, MeltanoProject

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox


def test_meltano_runs_a_check_with_its_settings_and_ends_with_its_code(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    account = CheckedAccount(sandbox)
    account.fill()
    account.crm.terms = Terms(addon=False)
    settings = {
        f"TAP_KOMMO_CHATS_{name.upper()}": value
        if isinstance(value, str)
        else json.dumps(value)
        for name, value in account.config().items()
    }

    ended = MeltanoProject(tmp_path, settings).run(
        "invoke", f"{TAP}:check", "--format=json"
    )

    told = json.loads(ended.output)
    assert ended.code == 1, ended.said
    assert [line["subject"] for line in told["lines"] if line["level"] == "failed"] == [
        "/api/v4/talks/{id}/messages"
    ]
    assert "users" in told["streams"]
    assert account.sandbox.crm_token not in ended.said
    assert account.sandbox.secret not in ended.said
