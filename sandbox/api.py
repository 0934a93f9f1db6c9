"""What an API of Kommo's is to the server: the same for both of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.faults import Strike

AskedT = TypeVar("AskedT")


@dataclass(frozen=True)
class RequestParts:
    """What a check needs of a request.

    Attributes:
        method: The HTTP method as sent.
        target: Path and query as they came on the wire, nothing decoded.
        headers: Header values by name; the case of the names does not matter.
        body: The body's bytes.
        at: The server's time when it came, in seconds since 1970 (UTC).
        url: The address it was sent to, for links; no slash at the end.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    at: float = 0.0
    url: str = ""

    def header(self, name: str) -> str | None:
        """Return a header's value, the last if there are several; None if none."""
        # HTTP does not tell case apart.
        given = [v for key, v in self.headers.items() if key.lower() == name.lower()]
        return given[-1] if given else None


@dataclass(frozen=True)
class Subject:
    """What a request is about, as far as its target tells, in order or not.

    Attributes:
        names: What ``Faults.only`` may call it by.
        page: What faults are drawn for: a conversation and an offset, or what stands
            in their place.
        limit: The limit asked for, where it is an integer.
        conversation_id: The conversation asked for, where the path names one.
        offset: The offset asked for, where it is an integer.
    """

    names: frozenset[str]
    page: tuple[str | None, int | None]
    limit: int | None
    conversation_id: str | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A request that is not answered with what it asks for.

    Attributes:
        status: The HTTP status, 400 or more.
        description: The problem as a sentence. It never quotes a secret, a signature
            or a token.
    """

    status: int
    description: str


@dataclass(frozen=True)
class Answer:
    """What a request gets if no fault comes between.

    Attributes:
        status: 200, 204 for an empty page, or that of an error.
        content: What goes out as JSON. An empty page has it too, for faults that need
            something to spoil.
        content_type: The media type.
    """

    status: int
    content: object
    content_type: str


class Api(Protocol[AskedT]):
    """An API: its paths, its checks and its answers.

    The server reads the subject first, because it decides on the faults, and they on
    the time that the check goes by.
    """

    def serves(self, path: str, /) -> bool:
        """Say whether a path is one of this API, whether known or not."""

    def subject(self, target: str, /) -> Subject:
        """Read what a target is about."""

    def check(self, request: RequestParts, /) -> AskedT | Refusal:
        """Return what a request asks for, or why it does not get it."""

    def change(self, asked: AskedT, strike: Strike, /) -> str | None:
        """Change what there is, where a fault does that.

        Returns:
            The fault that did, if any.
        """

    def answer(self, asked: AskedT, /) -> Answer:
        """Take what a request in order asks for."""

    def error(self, refusal: Refusal, /) -> Answer:
        """Say a refusal in the form of this API."""
