"""What comes in with a request, and what is answered if it is not right."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator


async def json_object(request: web.Request) -> dict[str, Any]:
    """Read a body that has to be a JSON object.

    Raises:
        web.HTTPBadRequest: It is none.
    """
    try:
        value = json.loads(await request.read())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        description = "The body has to be a JSON object."
        raise bad_request(description)
    return value


@contextmanager
def errors_answered(missing: str) -> Iterator[None]:
    """Answer what a store refuses.

    Args:
        missing: What is not there, if something is not.
    """
    try:
        yield
    except KeyError:
        raise _error(web.HTTPNotFound, f"There is no such {missing}.") from None
    except ValueError as error:
        raise _error(web.HTTPConflict, str(error)) from None


def bad_request(description: str) -> web.HTTPClientError:
    """Return the error to raise for a request that is not right."""
    return _error(web.HTTPBadRequest, description)


def _error(kind: type[web.HTTPClientError], description: str) -> web.HTTPClientError:
    return kind(
        text=json.dumps({"error_description": description}),
        content_type="application/json",
    )
