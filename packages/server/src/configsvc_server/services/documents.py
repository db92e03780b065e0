"""What a caller may write of each entity, and how a write depends on what is there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from configsvc_server.domain.jsontext import JsonObject

__all__ = ["ApplicationDocument", "ConfigurationDocument", "Edit", "Precondition", "always"]

Current = TypeVar("Current")
Document = TypeVar("Document")

Edit: TypeAlias = Callable[[Current], Document]
"""Makes the new document from the locked current resource; raises to refuse the write."""

Precondition: TypeAlias = Callable[[Current], None]
"""Called inside the transaction with the locked resource; raises to refuse the write."""


def always(_current: object) -> None:
    """Refuse nothing: the precondition of an unconditional write."""


@dataclass(frozen=True, slots=True)
class ApplicationDocument:
    """The members of an application that its owner decides on."""

    name: str
    comments: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationDocument:
    """The members of a configuration that its owner decides on."""

    name: str
    config: JsonObject
    comments: str | None = None
