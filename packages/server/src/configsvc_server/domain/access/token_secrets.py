"""Secrets of API tokens: how they are made, recognised and kept.

A secret is ``configsvc_``, 32 random letters and digits (190 bits), and six of a CRC-32 over them,
all in base 62. The prefix and the checksum are what scanners for leaked secrets look for, and a
mistyped one is refused without a look into the database. Since nobody can guess 190 bits, a plain
SHA-256 of it is kept, and not a slow password hash.
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

__all__ = ["TOKEN_PATTERN", "TOKEN_PREFIX", "hash_secret", "hint_of", "is_token", "new_secret"]

TOKEN_PREFIX: Final = "configsvc_"  # noqa: S105 - what every token begins with
"""What every token begins with."""

TOKEN_PATTERN: Final = r"configsvc_[0-9A-Za-z]{38}"  # noqa: S105
"""Regular expression for scanners."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM: Final = 32
_CHECK: Final = 6
_TOKEN: Final = re.compile(TOKEN_PATTERN, re.ASCII)


def new_secret() -> str:
    """Return the secret of a new token."""
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return f"{TOKEN_PREFIX}{random}{_checksum(random)}"


def is_token(text: str) -> bool:
    """Return whether ``text`` has the form of a token, with the right checksum."""
    if not _TOKEN.fullmatch(text):
        return False
    random = text[len(TOKEN_PREFIX) : -_CHECK]
    return text[-_CHECK:] == _checksum(random)


def hash_secret(secret: str) -> bytes:
    """Return what is kept of a secret: 32 bytes. Every text has a hash, also what is no secret."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def hint_of(secret: str) -> str:
    """Return the last four characters, by which people recognise a token."""
    return secret[-4:]


def _checksum(random: str) -> str:
    number = zlib.crc32(random.encode())
    digits = []
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
