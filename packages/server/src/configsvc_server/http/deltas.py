"""Deltas: what to change in the snapshot that a client has (RFC 3229)."""

import re
from http import HTTPStatus
from typing import Final

import falcon

__all__ = ["DELTA_FORMAT", "accepts_delta", "answer_delta"]

DELTA_FORMAT: Final = "configsvc-delta"
"""Name of the format in ``A-IM`` and ``IM``."""

# A cache that does not know the status must not keep what is no content by itself; one that does
# may (RFC 3229, section 10.8.2).
_CACHE_CONTROL: Final = "no-store, im"

_REFUSED = re.compile(r"q[ \t]*=[ \t]*0(?:\.0*)?", re.IGNORECASE)


def accepts_delta(req: falcon.Request) -> bool:
    """Return whether the client accepts our format (``A-IM``)."""
    for element in (req.get_header("A-IM") or "").split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        if name.lower() == DELTA_FORMAT:
            return not any(map(_REFUSED.fullmatch, parameters))
    return False


def answer_delta(resp: falcon.Response, *, base: str, etag: str) -> None:
    """Set the status 226 and its headers.

    Args:
        resp: the response.
        base: the tag of the snapshot that the delta is for, without quotes.
        etag: the tag of the result, without quotes.
    """
    resp.status = HTTPStatus.IM_USED
    resp.etag = etag
    resp.set_header("IM", DELTA_FORMAT)
    resp.set_header("Delta-Base", f'"{base}"')
    resp.set_header("Cache-Control", _CACHE_CONTROL)
