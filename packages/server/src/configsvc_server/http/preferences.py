"""What callers would like (RFC 7240), and get where the server can."""

import re

import falcon

__all__ = ["MAX_WAIT", "wait_wanted"]

MAX_WAIT = 60
"""The longest wait that is granted, in seconds."""

# RFC 7240, section 2: a preference may be one of several, and may have parameters.
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:;|,|$)", re.IGNORECASE)


def wait_wanted(req: falcon.Request) -> int:
    """Return the seconds that the caller would like to wait; 0 for none.

    What is no such preference is ignored, as RFC 7240 has it.
    """
    found = _WAIT.search(req.get_header("Prefer") or "")
    return min(int(found[1]), MAX_WAIT) if found else 0
