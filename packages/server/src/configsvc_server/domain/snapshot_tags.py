"""Entity tags of snapshots: digests of the entries, put together to one of the whole.

A client that is sent only the entries that have changed can compute the tag of the result from
the digests of those and of the entries that it has. The scheme is documented in ``docs/api.md``,
and clients rely on it.
"""

import hashlib
from collections.abc import Iterable

__all__ = ["entry_digest", "snapshot_tag"]

_TAG_LENGTH = 32


def entry_digest(text: bytes) -> bytes:
    """Return the SHA-256 of an entry.

    Args:
        text: the JSON object of the entry, byte by byte as it stands in the document.
    """
    return hashlib.sha256(text).digest()


def snapshot_tag(head: tuple[str, str, str], entries: Iterable[tuple[str, bytes]]) -> str:
    """Return the strong entity tag, without quotes: 32 hexadecimal digits.

    No text in it has a NUL, so that no two snapshots are the same sequence of bytes.

    Args:
        head: id of the application, its name, and the environment.
        entries: names and digests, in the order of the names' code points.
    """
    parts = [text.encode() for text in head]
    for name, digest in entries:
        parts += (name.encode(), digest)
    # A digest may contain a NUL, but has a fixed length.
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:_TAG_LENGTH]
