"""Conditional requests (RFC 9110, section 13): entity tags, If-Match, If-None-Match."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import falcon

from configsvc_server.domain.errors import PreconditionFailedError
from configsvc_server.domain.models import ApplicationDetail, Configuration
from configsvc_server.http.errors import BadHeaderError
from configsvc_server.http.representations import application_body

__all__ = [
    "application_etag",
    "configuration_etag",
    "content_etag",
    "content_wanted",
    "is_not_modified",
    "precondition",
    "refuse_if_match",
    "versions_wanted",
    "wants_fresh",
]

T = TypeVar("T")

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
# Every blank belongs to one place only: a pattern that could try others would take time
# exponential in the length of a header that anybody can send.
_ELEMENT = rf"[ \t]*(?:{_TAG}[ \t]*)?"
_HEADER = re.compile(rf'[ \t]*\*[ \t]*|(?=[^"]*"){_ELEMENT}(?:,{_ELEMENT})*')
_NO_CACHE = re.compile(r"(?:^|,)[ \t]*no-cache[ \t]*(?:[=,]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Tags:
    any: bool
    tags: tuple[falcon.ETag, ...]


def configuration_etag(configuration: Configuration) -> str:
    """Return the strong ETag of a configuration, without quotes: its version.

    A version is written once and never again, so it names one content.
    """
    return str(configuration.version)


def content_etag(body: bytes) -> str:
    """Return a strong ETag, without quotes: a digest of the content itself."""
    return hashlib.sha256(body).hexdigest()[:32]


def application_etag(detail: ApplicationDetail) -> str:
    """Return the strong ETag of an application, without quotes.

    The list of its configurations is part of that, so it changes when one comes or goes.
    """
    return content_etag(application_body(detail))


def versions_wanted(req: falcon.Request) -> frozenset[int] | None:
    """Return the versions of a configuration that If-Match allows; ``None`` for any.

    Raises:
        BadHeaderError: the header can't be understood.
    """
    wanted = _wanted_by_write(req)
    if wanted is None or wanted.any:
        return None
    # Strong comparison (RFC 9110, section 13.1.1): a weak tag, or one that is no version as
    # we write it, matches nothing.
    return frozenset(int(tag) for tag in wanted.tags if not tag.is_weak and _VERSION.fullmatch(tag))


def precondition(req: falcon.Request, etag_of: Callable[[T], str]) -> Callable[[T], None]:
    """Return the check that the If-Match header of a write asks for.

    Args:
        req: the request.
        etag_of: makes the ETag, without quotes, of the resource.

    Raises:
        BadHeaderError: the header can't be understood.
    """
    wanted = _wanted_by_write(req)

    def check(current: T) -> None:
        if wanted is None or wanted.any:
            return
        etag = etag_of(current)
        if not any(tag == etag and not tag.is_weak for tag in wanted.tags):
            raise PreconditionFailedError(current_etag=etag)

    return check


def refuse_if_match(req: falcon.Request) -> None:
    """Refuse a condition where there is nothing that could meet it.

    Raises:
        BadHeaderError: there is an If-Match.
    """
    if _wanted_by_write(req) is not None:
        raise BadHeaderError("If-Match", "must be left out: what is deleted has no ETag")


def content_wanted(req: falcon.Request) -> Callable[[str], bool] | None:
    """Return what tells whether the caller has the content with an ETag already.

    Returns:
        A function of the ETag without quotes; ``None`` without If-None-Match.

    Raises:
        BadHeaderError: the header can't be understood.
    """
    wanted = _parse(req, "If-None-Match")
    if wanted is None:
        return None
    # Weak comparison (RFC 9110, section 13.1.2): the W/ does not matter.
    return lambda etag: wanted.any or etag in wanted.tags


def wants_fresh(req: falcon.Request) -> bool:
    """Tell whether the caller insists on an answer from the database (``no-cache``)."""
    return _NO_CACHE.search(req.get_header("Cache-Control") or "") is not None


def is_not_modified(req: falcon.Request, resp: falcon.Response, etag: str) -> bool:
    """Set the ETag; tell whether the caller has this content already (and answer that).

    Raises:
        BadHeaderError: If-None-Match can't be understood.
    """
    resp.etag = etag
    is_known = content_wanted(req)
    if is_known is None or not is_known(etag):
        return False
    resp.status = HTTPStatus.NOT_MODIFIED
    return True


def _wanted_by_write(req: falcon.Request) -> _Tags | None:
    if req.get_header("If-None-Match") is not None:
        # Left unheeded, it would write where the caller meant not to.
        message = "must be left out of a write; If-Match makes it depend on what was read"
        raise BadHeaderError("If-None-Match", message)
    return _parse(req, "If-Match")


def _parse(req: falcon.Request, header: str) -> _Tags | None:
    value = req.get_header(header)
    if value is None:
        return None
    if not _HEADER.fullmatch(value):
        raise BadHeaderError(header, 'must be * or entity tags in double quotes, such as "3"')
    tags = (req.if_match if header == "If-Match" else req.if_none_match) or []
    return _Tags("*" in tags, tuple(tag for tag in tags if isinstance(tag, falcon.ETag)))
