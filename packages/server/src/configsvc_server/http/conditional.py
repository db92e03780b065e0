"""Conditional requests and preferences: ETag, If-Match, If-None-Match, Cache-Control, Prefer.

See RFC 9110, section 13, and RFC 7240.
"""

import hashlib
import re
from dataclasses import replace
from http import HTTPStatus
from typing import Final, Literal

import falcon

from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.http.errors import BadHeaderError

__all__ = [
    "MAX_WAIT",
    "MAY_WAIT",
    "answer_not_modified",
    "content_etag",
    "has_no_cache",
    "has_wait",
    "read_if_match",
    "read_if_none_match",
    "read_wait",
    "refuse_if_match",
]

MAX_WAIT: Final = 60
"""The longest wait that is granted, in seconds."""

MAY_WAIT: Final = "configsvc.may_wait"
"""Key of the WSGI environment: whether the server has a place for the request to wait in. A
server that does not say so is taken to have one."""

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Every blank belongs to one place only: a pattern that could try others would take time
# exponential in the length of a header that anybody can send.
_ELEMENT = rf"[ \t]*(?:{_TAG}[ \t]*)?"
_HEADER = re.compile(rf'[ \t]*\*[ \t]*|(?=[^"]*"){_ELEMENT}(?:,{_ELEMENT})*')
_NO_CACHE = re.compile(r"(?:^|,)[ \t]*no-cache[ \t]*(?:[=,]|$)", re.IGNORECASE)

# RFC 7240, section 2: a preference may be one of several, and may have parameters.
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:;|,|$)", re.IGNORECASE)


def content_etag(body: bytes) -> str:
    """Return a strong ETag, without quotes: a digest of the content itself."""
    return hashlib.sha256(body).hexdigest()[:32]


def read_if_match(req: falcon.Request) -> EntityTags | None:
    """Return the states of the resource that a write allows; ``None`` for any.

    Both conditions count: If-Match names the states that are allowed, If-None-Match those that are
    not, ``*`` in it every state of a resource that exists.

    Raises:
        BadHeaderError: a condition can't be understood.
    """
    value = req.get_header("If-Match")
    allowed = None if value is None else _parse("If-Match", value, req.if_match)
    excluded = read_if_none_match(req)
    if excluded is None:
        return allowed
    return replace(allowed or EntityTags(is_any=True), excluded=excluded)


def refuse_if_match(req: falcon.Request) -> None:
    """Refuse a condition where there is nothing that could meet it.

    If-None-Match is met by what does not exist.

    Raises:
        BadHeaderError: there is an If-Match, or If-None-Match can't be understood.
    """
    read_if_none_match(req)
    if req.get_header("If-Match") is not None:
        raise BadHeaderError("If-Match", "must be left out: what is deleted has no ETag")


def read_if_none_match(req: falcon.Request) -> EntityTags | None:
    """Return the states of the resource that the caller has; ``None`` without If-None-Match.

    Raises:
        BadHeaderError: the header can't be understood.
    """
    value = req.get_header("If-None-Match")
    return None if value is None else _parse("If-None-Match", value, req.if_none_match)


def answer_not_modified(resp: falcon.Response, etag: str, known: EntityTags | None) -> bool:
    """Set the ETag, and the status 304 where the caller has this content already.

    Args:
        resp: the response.
        etag: the tag of the content, without quotes.
        known: the tags of what the caller has (see :func:`read_if_none_match`).

    Returns:
        Whether the response is complete, and must have no body.
    """
    resp.etag = etag
    if known is None or not known.matches_weakly(etag):
        return False
    resp.status = HTTPStatus.NOT_MODIFIED
    return True


def has_no_cache(req: falcon.Request) -> bool:
    """Return whether the caller wants a response from the database (``no-cache``)."""
    return _NO_CACHE.search(req.get_header("Cache-Control") or "") is not None


def read_wait(req: falcon.Request) -> int:
    """Return the seconds that the request may wait (``Prefer: wait``); 0 for none.

    What is not such a preference is ignored (RFC 7240, section 2), as is one for which the
    server has no place.
    """
    if not req.env.get(MAY_WAIT, True):
        return 0
    found = _WAIT.search(req.get_header("Prefer") or "")
    return min(int(found[1]), MAX_WAIT) if found else 0


def has_wait(prefer: str) -> bool:
    """Return whether a Prefer header asks to wait."""
    return _WAIT.search(prefer) is not None


def _parse(header: str, value: str, tags: list[falcon.ETag | Literal["*"]] | None) -> EntityTags:
    if not _HEADER.fullmatch(value):
        raise BadHeaderError(header, 'must be * or entity tags in double quotes, such as "3"')
    found = [tag for tag in tags or [] if isinstance(tag, falcon.ETag)]
    return EntityTags(
        strong=frozenset(str(tag) for tag in found if not tag.is_weak),
        weak=frozenset(str(tag) for tag in found if tag.is_weak),
        is_any=len(found) < len(tags or []),
    )
