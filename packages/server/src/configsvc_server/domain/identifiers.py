"""ULIDs: identifiers that sort by the time they were made."""

import random
import re

from ulid import ULID, ULIDGenerator

__all__ = ["is_ulid", "new_request_id", "new_ulid", "normalize_ulid"]

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)

# Asking the operating system for randomness gives up the interpreter's lock; under load a
# request waits longer to get it back than everything else it does takes. Nobody has to be
# unable to guess a request id.
_REQUEST_IDS = ULIDGenerator(randomness=lambda _timestamp: random.randbytes(10))  # noqa: S311


def new_ulid() -> str:
    """Make a new identifier."""
    return str(ULID())


def new_request_id() -> str:
    """Make an identifier that is cheap and need not be unguessable."""
    return str(_REQUEST_IDS.generate())


def is_ulid(text: str) -> bool:
    """Tell whether ``text`` has the shape of a ULID, in whichever case."""
    return _ULID.fullmatch(text) is not None


def normalize_ulid(text: str) -> str:
    """Return a ULID in the one spelling that is stored: upper case."""
    return text.upper()
