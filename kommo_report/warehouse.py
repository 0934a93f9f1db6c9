"""The warehouse that the page asks, wherever SQLAlchemy has a driver for it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Select

    from kommo_report.figures import Ask


class WarehouseError(Exception):
    """The warehouse cannot be asked. The text says what to change."""


@contextmanager
def asking(url: str) -> Iterator[Ask]:
    """Connect to a warehouse for as long as the block lasts.

    Args:
        url: SQLAlchemy's URL of it, such as `duckdb:///output/kommo.duckdb`.

    Raises:
        WarehouseError: If it cannot be reached, or has no such tables.
    """
    try:
        where = make_url(url)
        # DuckDB lets one program write, or several read.
        options = {"read_only": True} if where.drivername == "duckdb" else {}
        engine = create_engine(where, connect_args=options)
        with ExitStack() as stack:
            stack.callback(engine.dispose)
            connection = stack.enter_context(engine.connect())

            def ask(query: Select[Any]) -> Sequence[Any]:
                return connection.execute(query).all()

            yield ask
    except (SQLAlchemyError, ImportError) as error:
        raise WarehouseError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Say why, without what a URL or a driver's text may quote."""
    if isinstance(error, NoSuchModuleError | ImportError):
        return "there is no driver for this kind of database: install it beside this"
    kind = type(getattr(error, "orig", None) or error).__name__
    return (
        f"the database cannot be asked ({kind}): check --database and --schema, that "
        "it is not open elsewhere, and that dbt has made the tables"
    )
