"""Database URLs: parsed, refused where they are ambiguous, and described without the password.

libpq reads ``postgresql://me:pa/ss@host/db``, whose password has an unescaped slash, as a host
``me``, a port ``pa`` and a database ``ss@host/db``. Whatever shows one of them, a description
or an error of libpq, shows a part of the password. So such a URL must not get any further.
"""

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

__all__ = ["describe_url", "parse_url"]

_SCHEME = re.compile(r"postgres(?:ql)?://")

_PORTS = re.compile(r"[0-9,]*")

_SHOWN = ("dbname", "host", "port", "user")
"""Parts of a URL that a description has."""


def parse_url(url: str) -> dict[str, str] | None:
    """Return the parts of a database URL, or ``None`` if it is wrong or ambiguous.

    Args:
        url: a libpq connection string or URI.
    """
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        return None
    if not _PORTS.fullmatch(parts.get("port", "")):
        return None
    scheme = _SCHEME.match(url)
    if scheme:
        # The one @ of a URI ends the user and the password.
        before, at, after = url[scheme.end() :].partition("?")[0].partition("@")
        if "@" in after or (at and "/" in before):
            return None
    # A database may be given as a URL of its own, with a password of its own.
    if any("://" in parts.get(name, "") for name in _SHOWN):
        return None
    return parts


def describe_url(url: str) -> str:
    """Return a description of the database in ``url`` for people, without the password."""
    parts = parse_url(url)
    if parts is None:
        return "a database whose URL is wrong or ambiguous"
    host = parts.get("host") or "local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    name = parts.get("dbname") or parts.get("user") or "default database"
    user = f" as {parts['user']}" if parts.get("user") else ""
    return f"{name} at {host}{port}{user}"
