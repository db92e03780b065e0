"""Header ``Configsvc-Instance``: what an instance says of itself with each poll.

It is a dictionary of structured fields (RFC 8941). A poll never fails because of it: what can't be
understood is ignored.
"""

import re
from functools import lru_cache
from sys import intern
from typing import Any, Final, cast

import falcon
import http_sf
import structlog

from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.fleet import (
    CONNECTION_PREFIX,
    MAX_INTERVAL,
    MAX_PROCESSES,
    MAX_REJECTS,
    About,
)

__all__ = [
    "INSTANCE_HEADER",
    "INSTANCE_ID",
    "is_version",
    "read_anonymous",
    "read_instance",
    "served_tag",
]

_log = structlog.stdlib.get_logger(__name__)

INSTANCE_HEADER: Final = "Configsvc-Instance"

INSTANCE_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)

_MAX_HEADER: Final = 1024
_MAX_TEXT: Final = 100
# Headers that are remembered, so that they are parsed once.
_REMEMBERED: Final = 16_384

_NUMBERS: Final = (
    ("interval", 1, MAX_INTERVAL),
    ("processes", 1, MAX_PROCESSES),
    ("rejects", 0, MAX_REJECTS),
)

_VERSION: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


def read_instance(req: falcon.Request) -> About | None:
    """Return what the header says; ``None`` where it can't be understood.

    Args:
        req: a request that has the header.
    """
    text = req.get_header(INSTANCE_HEADER) or ""
    about = _parse(text) if len(text) <= _MAX_HEADER else None
    if about is None:
        _log.debug("header ignored", header=INSTANCE_HEADER, size=len(text))
    return about


def read_anonymous(req: falcon.Request) -> About:
    """Return what is known of an instance that does not say who it is: its connection."""
    return _of_connection(
        req.remote_addr, str(req.env.get("REMOTE_PORT", "")), req.get_header("User-Agent") or ""
    )


def served_tag(known: EntityTags | None) -> str | None:
    """Return the tag of the snapshot that a caller has, if it names one."""
    if known is None:
        return None
    tags = known.strong | known.weak
    tag = next(iter(tags)) if len(tags) == 1 else ""
    return tag if is_version(tag) else None


def is_version(text: str) -> bool:
    """Return whether a text is like the tag of a snapshot."""
    return _VERSION.fullmatch(text) is not None


@lru_cache(maxsize=_REMEMBERED)
def _parse(text: str) -> About | None:
    try:
        members = http_sf.parse(text.encode("latin-1"), tltype="dictionary")
    except (ValueError, RecursionError):
        return None
    # By its signature it may be any structured field.
    values = {name: member[0] for name, member in cast("dict[str, Any]", members).items()}
    instance = values.get("id")
    if type(instance) is not str or not INSTANCE_ID.fullmatch(instance):
        return None
    said: dict[str, Any] = {}
    for name in ("service", "version", "sdk", "host"):
        value = values.get(name)
        if value is None:
            continue
        if type(value) is not str or len(value) > _MAX_TEXT:
            return None
        said[name] = intern(value)
    for name, minimum, maximum in _NUMBERS:
        value = values.get(name)
        if value is None:
            continue
        if type(value) is not int or not minimum <= value <= maximum:
            return None
        said[name] = value
    return About(instance, **said)


@lru_cache(maxsize=_REMEMBERED)
def _of_connection(address: str, port: str, user_agent: str) -> About:
    sdk = intern(_UNPRINTABLE.sub("?", user_agent[:_MAX_TEXT])) or None
    return About(f"{CONNECTION_PREFIX}{address}:{port}", sdk=sdk)
