"""Digest of a configuration document: SHA-256 of its canonical JSON."""

import hashlib

import rfc8785

from configsvc_server.domain.models import ConfigurationDocument
from configsvc_server.domain.strict_json import JsonValue, is_array, is_object

__all__ = ["canonical", "document_digest"]

# RFC 8785 writes every number as a double. Integers beyond this are kept exactly by us, so
# they are written with all their digits: integers that differ have different digests.
_MAX_SAFE_INTEGER = 2**53 - 1


def canonical(value: JsonValue) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785), integers beyond 2**53 with all digits."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return _canonical_exact(value)


def _canonical_exact(value: JsonValue) -> bytes:
    if isinstance(value, int) and not -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER:
        return str(value).encode()
    if is_object(value):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return b"{%b}" % b",".join(
            rfc8785.dumps(k) + b":" + _canonical_exact(v) for k, v in members
        )
    if is_array(value):
        return b"[%b]" % b",".join(map(_canonical_exact, value))
    return rfc8785.dumps(value)


def document_digest(document: ConfigurationDocument) -> str:
    """Return the SHA-256 of a configuration's document, as 64 hexadecimal digits."""
    value: dict[str, JsonValue] = {
        "name": document.name,
        "comments": document.comments,
        "config": document.config,
    }
    # An absent part is no member, so that the digest of a plain configuration does not depend on
    # the optional parts.
    if document.overlays:
        value["overlays"] = document.overlays
    if document.schema is not None:
        value["schema"] = document.schema
    return hashlib.sha256(canonical(value)).hexdigest()
