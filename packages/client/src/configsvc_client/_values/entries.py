"""Entries of a snapshot document, parsed one after the other and told apart by their digests.

An entry at a time, since parsing holds the interpreter's lock: for megabytes at once, no other
thread would run. And an entry's digest is that of its text, so where it begins and ends has to be
known.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from configsvc_client._values.frozen import freezer, loads_frozen, name_sharer

__all__ = ["delta_base", "parse_document", "plain_tag", "snapshot_tag"]

_MARK: Final = '"configurations":'
_GZIP: Final = "-gzip"
_BASE: Final = re.compile(rb'\{"base":"([^"\\]*)",')


class _IrregularError(Exception):
    """The document is not written as our server writes it."""


def parse_document(body: bytes, add: Callable[[str, Any, bytes | None], None]) -> Mapping[str, Any]:
    """Parse a snapshot document, or a delta of one.

    Args:
        body: the document.
        add: called with the name, the entry, and the digest of the entry's text, for one entry
            after the other. The digest is ``None`` where the document is not written as our
            server does it; it may be called again then for entries that it knows.

    Returns:
        The other members of the document.

    Raises:
        ValueError: the document is not JSON, or has no configurations.
    """
    try:
        try:
            return _parse_regular(body.decode(), add)
        except (_IrregularError, ValueError):
            document = loads_frozen(body)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(document, dict) or not isinstance(document.get("configurations"), dict):
        raise ValueError("is no snapshot (it has no configurations)")  # noqa: TRY004 - as all of it
    for name, entry in document["configurations"].items():
        add(name, entry, None)
    return document


def snapshot_tag(head: Iterable[str], digests: Mapping[str, bytes]) -> str:
    """Return the entity tag of a snapshot, without quotes, as the server computes it.

    Args:
        head: id of the application, its name, and the environment.
        digests: digests of the entries by name.
    """
    parts = [text.encode("utf-8", "surrogatepass") for text in head]
    for name, digest in sorted(digests.items()):
        parts += (name.encode("utf-8", "surrogatepass"), digest)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


def plain_tag(etag: str | None) -> str | None:
    """Return the tag of a content, whatever form it was sent in, without quotes."""
    return etag.removeprefix("W/").strip('"').removesuffix(_GZIP) if etag else None


def delta_base(body: bytes) -> str | None:
    """Return the tag of the snapshot that a delta is for; ``None`` if the body is no delta."""
    found = _BASE.match(body)
    return found[1].decode() if found else None


def _parse_regular(text: str, add: Callable[[str, Any, bytes | None], None]) -> Mapping[str, Any]:
    start = text.find(_MARK)
    if start < 0:
        raise _IrregularError
    at = start + len(_MARK) + 1
    end = at if text.startswith("{}", at - 1) else _parse_entries(text, at, add)
    rest = f"{text[: start + len(_MARK)]}{{{text[end:]}"
    members = json.loads(rest)
    if not isinstance(members, dict):
        raise _IrregularError
    return members


def _parse_entries(text: str, at: int, add: Callable[[str, Any, bytes | None], None]) -> int:
    """Parse entries from an index on; return that of the brace at their end."""
    name_of = name_sharer()
    decode = json.JSONDecoder(object_pairs_hook=freezer(name_of)).raw_decode
    if text[at - 1 : at] != "{":
        raise _IrregularError
    while True:
        name, start = decode(text, at)
        if not isinstance(name, str) or text[start : start + 1] != ":":
            raise _IrregularError
        entry, at = decode(text, start + 1)
        add(name_of(name), entry, hashlib.sha256(text[start + 1 : at].encode()).digest())
        following = text[at : at + 1]
        if following == "}":
            return at
        if following != ",":
            raise _IrregularError
        at += 1
