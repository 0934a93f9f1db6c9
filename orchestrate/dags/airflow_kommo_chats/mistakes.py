"""What is wrong with what an operator gave, and does not pass by waiting."""

from __future__ import annotations


class MistakeError(ValueError):
    """Settings cannot be used: trying again is of no use before they are changed.

    Its text is for the operator: what is wrong, where, and what to write instead.
    """
