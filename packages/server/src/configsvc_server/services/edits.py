"""How a write depends on what is there."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

__all__ = ["Edit", "Precondition", "always"]

Current = TypeVar("Current")
Document = TypeVar("Document")

Edit: TypeAlias = Callable[[Current], Document]
"""Makes the new document from the locked current resource; raises to refuse the write."""

Precondition: TypeAlias = Callable[[Current], None]
"""Called inside the transaction with the locked resource; raises to refuse the write."""


def always(_current: object) -> None:
    """Refuse nothing: the precondition of an unconditional write."""
