"""File addresses: ``file:`` URLs (RFC 8089), and relative paths as people write them."""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

__all__ = ["absolute", "is_file_address", "path_of"]

_SCHEME: Final = re.compile("file:", re.IGNORECASE)
_DRIVE: Final = re.compile(r"/[A-Za-z]:(/|$)")


def is_file_address(url: str) -> bool:
    """Return whether a URL is one of files."""
    return _SCHEME.match(url) is not None


def path_of(url: str) -> Path:
    """Return the absolute path of a file address.

    A later change of the working directory, as that of a daemon, makes no difference.

    Args:
        url: such as ``file:///etc/app``, ``file:./config`` or ``file:~/config``, percent-encoded.

    Raises:
        ValueError: it has no path, or that of another host.
    """
    text = url[len("file:") :]
    if text.startswith("//"):
        host, slash, rest = text[2:].partition("/")
        if host in {"", "localhost"}:
            text = slash + rest
        elif host in {".", "..", "~"}:
            text = host + slash + rest
        else:
            raise ValueError(
                f"url {url!r} names the host {host!r}; a folder beside this program is"
                f" file:./{text[2:]}, and one of the system file:///{text[2:]}"
            )
    text = unquote(text, errors="surrogateescape")
    if not text or "\0" in text:
        raise ValueError(f"url must have the path of a folder or file, like file:./config: {url!r}")
    if os.name == "nt" and _DRIVE.match(text):
        text = text[1:]
    return absolute(text)


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return a path, which may begin with ``~``, as an absolute one."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - links stay as they are
