"""The query of a request to the CRM API, and what may stand in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from sandbox.api import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

# What PHP reads as a number; no more digits than 64 bits hold.
_INTEGER = re.compile(r"[0-9]{1,18}")
# What ends the name of one value of a list: ``[]``, or its numbered place.
_PLACE = re.compile(r"\[[0-9]*\]$")


@dataclass(frozen=True)
class Rule:
    """What the values of a parameter have to be.

    Attributes:
        pattern: What each has to match as a whole.
        takes: The same as words that follow "takes".
        most: How many of them there may be; None for any number. Where there may be
            several, they come as a list: ``name[]``.
    """

    pattern: str
    takes: str
    most: int | None = 1

    def broken_by(self, values: list[str]) -> bool:
        """Say whether values are not what they have to be."""
        too_many = self.most is not None and len(values) > self.most
        return too_many or not all(re.fullmatch(self.pattern, v) for v in values)


PAGES = dict.fromkeys(
    ("page", "limit"), Rule("0*[1-9][0-9]{0,17}", "an integer from 1")
)
SECONDS = Rule(_INTEGER.pattern, "Unix seconds")
FLAG = Rule("[01]", "0 or 1")
ORDER = Rule("asc|desc", "asc or desc")
WORDS = Rule(r"[\w.]+", "words", None)
IDS = Rule(_INTEGER.pattern, "ids", None)
FIFTY_IDS = Rule(_INTEGER.pattern, "50 ids at most", 50)


def parts(*names: str) -> Rule:
    """Make the rule of ``with``: some of these names, with commas between."""
    any_of = "|".join(names)
    return Rule(f"({any_of})(,({any_of}))*", f"of {', '.join(names)}")


def times(field: str) -> dict[str, Rule]:
    """Make the rules of a filter on a time, from and to."""
    return {f"filter[{field}][from]": SECONDS, f"filter[{field}][to]": SECONDS}


@dataclass(frozen=True)
class Parameters:
    """The query of a request.

    Attributes:
        pairs: Names and values, decoded, in their order.
    """

    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, query: str) -> Parameters:
        """Read a query as it came on the wire."""
        return cls(tuple(parse_qsl(query, keep_blank_values=True)))

    def integer(self, name: str, default: int | None = None) -> int | None:
        """Read a parameter given once as plain digits.

        Returns:
            The number; the default if it was not given, None if it is no such number.
        """
        values = [value for key, value in self.pairs if key == name]
        if not values:
            return default
        if len(values) != 1 or not _INTEGER.fullmatch(values[0]):
            return None
        return int(values[0])

    def values(self, name: str) -> list[str]:
        """Read a parameter: one value, or a list with or without numbered places."""
        return [value for key, value in self.pairs if _PLACE.sub("", key) == name]

    def filter(self, name: str) -> list[str]:
        """Read a filter: one value, or a list with or without numbered places."""
        return self.values(f"filter[{name}]")

    def has_filter(self) -> bool:
        """Say whether there is a filter of any kind."""
        return any(name.startswith("filter[") for name, _ in self.pairs)

    def span(self, field: str) -> tuple[int | None, int | None]:
        """Read a filter on a time: the first and the last second, None for no bound."""
        start = self.integer(f"filter[{field}][from]")
        return start, self.integer(f"filter[{field}][to]")

    def parts(self) -> frozenset[str]:
        """Read what else is asked for by ``with``."""
        asked = ",".join(self.values("with"))
        return frozenset(asked.split(",") if asked else ())

    def problem(self, rules: Mapping[str, Rule]) -> Refusal | None:
        """Return what is wrong with the query; None if nothing is.

        Kommo takes no notice of parameters it does not know. Here they are refused,
        because they would be mistakes.

        Args:
            rules: What each parameter there is has to be.
        """
        for key, _ in self.pairs:
            name = _PLACE.sub("", key)
            rule = rules.get(name)
            if rule is None or (key != name and rule.most == 1):
                return Refusal(400, f"There is no parameter {key} here.")
            if rule.broken_by(self.values(name)):
                return Refusal(400, f"{name} takes {rule.takes}.")
        return None
