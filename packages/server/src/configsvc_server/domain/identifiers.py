"""ULIDs: identifiers that sort by the time they were made."""

import re

from ulid import ULID

__all__ = ["is_ulid", "new_ulid", "normalize_ulid"]

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)


def new_ulid() -> str:
    """Make a new identifier."""
    return str(ULID())


def is_ulid(text: str) -> bool:
    """Tell whether ``text`` has the shape of a ULID, in whichever case."""
    return _ULID.fullmatch(text) is not None


def normalize_ulid(text: str) -> str:
    """Return a ULID in the one spelling that is stored: upper case."""
    return text.upper()
