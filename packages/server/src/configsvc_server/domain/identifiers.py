"""Identifiers: ULIDs, which sort by the time of their creation, and what can be a name at all."""

import random
import re

from ulid import ULID, ULIDGenerator

__all__ = ["is_storable", "is_ulid", "new_request_id", "new_ulid", "normalize_ulid"]

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)

# Asking the operating system for randomness gives up the interpreter's lock; under load a
# request waits longer to get it back than everything else it does takes. A request id may be
# guessed.
_REQUEST_IDS = ULIDGenerator(randomness=lambda _timestamp: random.randbytes(10))  # noqa: S311


def new_ulid() -> str:
    """Return a new identifier, from the randomness of the operating system."""
    return str(ULID())


def new_request_id() -> str:
    """Return a new identifier that is cheap to make, but can be guessed."""
    return str(_REQUEST_IDS.generate())


def is_ulid(text: str) -> bool:
    """Return whether ``text`` has the form of a ULID, in upper or lower case."""
    return _ULID.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Return whether the database can store ``text``; what it can't, it need not be asked for."""
    return "\0" not in text


def normalize_ulid(text: str) -> str:
    """Return ``text``, a ULID, in upper case, as ULIDs are stored."""
    return text.upper()
