"""The DAG as a module, without Airflow."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

_FILE = Path(__file__).resolve().parents[2] / "orchestrate" / "dags" / "kommo_chats.py"


class _Operator:
    """As much of Airflow's `BaseOperator` as the DAG's own code stands on."""

    partial = MagicMock()
    log = logging.getLogger("airflow.task")

    def __init__(self, **_arguments: object) -> None:
        """Take what Airflow would."""

    def __rshift__(self, _other: object) -> None:
        """Come before another task."""


def load_dag(
    monkeypatch: pytest.MonkeyPatch,
    *,
    accounts: Mapping[str, Any],
    extra: Mapping[str, Any],
    secret: str,
) -> Any:
    """Import the DAG's file where Airflow's SDK is a stand-in.

    Args:
        monkeypatch: Takes the stand-in away again.
        accounts: The Variable `kommo_accounts`.
        extra: The extra of the connection `kommo`.
        secret: Its password.

    Returns:
        The module.
    """
    sdk = ModuleType("airflow.sdk")
    vars(sdk).update(
        BaseOperator=_Operator,
        Connection=MagicMock(
            get=lambda _id: SimpleNamespace(password=secret, extra_dejson=extra)
        ),
        DAG=MagicMock(),
        Variable=MagicMock(get=lambda _key, **_how: accounts),
        task=MagicMock(),
    )
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    spec = importlib.util.spec_from_file_location("kommo_chats", _FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
