"""Content coding: gzip where the client accepts it, with entity tags of its own.

A strong tag is that of one sequence of bytes, so the compressed form of a content needs another
(RFC 9110, section 8.8.3.3). It is that of the content with a suffix. A condition may name either:
whoever has one form has the content of the other.
"""

import gzip
import re
from typing import Final

import falcon

from configsvc_server.domain.entity_tags import EntityTags

__all__ = ["MIN_COMPRESSED", "accepts_gzip", "coded_etag", "compress", "uncoded_tags"]

MIN_COMPRESSED: Final = 1024
"""Bytes from which on compressing is worth it: less fits in one packet anyway."""

_SUFFIX: Final = "-gzip"

# Twice as quick as the default, and larger by a twentieth.
_LEVEL: Final = 4

_WEIGHT = re.compile(r"q[ \t]*=[ \t]*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)


def accepts_gzip(req: falcon.Request) -> bool:
    """Return whether the client accepts gzip (RFC 9110, section 12.5.3)."""
    weights: dict[str, float] = {}
    for element in (req.get_header("Accept-Encoding") or "").split(","):
        coding, *parameters = (part.strip() for part in element.split(";"))
        found = _WEIGHT.fullmatch(parameters[0]) if parameters else None
        weights[coding.lower()] = float(found[1]) if found else 1.0
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def compress(body: bytes) -> bytes:
    """Return a body in gzip; equal bodies are equal to the byte."""
    return gzip.compress(body, _LEVEL, mtime=0)


def coded_etag(etag: str, *, is_coded: bool) -> str:
    """Return the entity tag of a content in the form in which it is sent."""
    return etag + _SUFFIX if is_coded else etag


def uncoded_tags(tags: EntityTags | None) -> EntityTags | None:
    """Return the tags of contents, whatever the form in which the caller has them."""
    if tags is None:
        return None
    return EntityTags(
        strong=frozenset(tag.removesuffix(_SUFFIX) for tag in tags.strong),
        weak=frozenset(tag.removesuffix(_SUFFIX) for tag in tags.weak),
        is_any=tags.is_any,
    )
