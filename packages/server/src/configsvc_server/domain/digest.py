"""A fingerprint of a document that depends on its content alone."""

import hashlib
from collections.abc import Mapping, Sequence

import rfc8785

from configsvc_server.domain.models import ConfigurationDocument
from configsvc_server.domain.strict_json import JsonValue

__all__ = ["canonical", "document_digest"]

# RFC 8785 writes every number as a double. Integers beyond this are kept exactly by us, so
# they are written with all their digits: integers that differ have different digests.
_MAX_SAFE_INTEGER = 2**53 - 1


def canonical(value: JsonValue) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785), larger integers in full."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return _canonical(value)


def _canonical(value: JsonValue) -> bytes:
    if isinstance(value, int) and not -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER:
        return str(value).encode()
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return b"{%b}" % b",".join(rfc8785.dumps(k) + b":" + _canonical(v) for k, v in members)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return b"[%b]" % b",".join(map(_canonical, value))
    return rfc8785.dumps(value)


def document_digest(document: ConfigurationDocument) -> str:
    """Return the SHA-256 of a configuration's document, as 64 hexadecimal digits."""
    value: dict[str, JsonValue] = {
        "name": document.name,
        "comments": document.comments,
        "config": document.config,
    }
    # Left out where there is none: digests from before these members existed stay right.
    if document.overlays:
        value["overlays"] = document.overlays
    if document.schema is not None:
        value["schema"] = document.schema
    return hashlib.sha256(canonical(value)).hexdigest()
