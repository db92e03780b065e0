"""Claims of a verified token: names, groups, and the rules that they meet.

Rules compare exactly, or by ``*`` for any characters. There are no regular expressions: one that
lacks an anchor lets others in, and a costly one can be made to run for long.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.identity.settings import ClaimPattern, IssuerSettings, RuleSettings

__all__ = ["MAX_GROUPS", "MAX_NAME", "Claims", "claim_of", "groups_of", "meets", "name_of"]

Claims: TypeAlias = Mapping[str, Any]
"""What a token says of its subject."""

MAX_NAME: Final = 255
"""Characters that a name or group may have."""

MAX_GROUPS: Final = 500
"""Groups of one principal that count."""

_FIELD: Final = re.compile(r"\{([^{}]+)\}")


def claim_of(claims: Claims, key: str) -> object:
    """Return a claim, also one inside another, as in ``realm_access/roles``; ``None`` for none."""
    if key in claims:
        return claims[key]
    # Names such as "kubernetes.io" and "https://example.com/roles" have dots and slashes, so the
    # longest beginning that is a claim counts.
    for index in [i for i, character in enumerate(key) if character == "/"][::-1]:
        inner = claims.get(key[:index])
        if isinstance(inner, Mapping):
            return claim_of(inner, key[index + 1 :])
    return None


def meets(claims: Claims, rule: RuleSettings) -> bool:
    """Return whether all claims are as a rule expects them."""
    return all(_is_met(claim_of(claims, key), pattern) for key, pattern in rule.claims.items())


def name_of(claims: Claims, issuer: IssuerSettings) -> str:
    """Return how whom the token is of is called, without the name of the issuer.

    Raises:
        UnauthenticatedError: the token says it not, or not safely.
    """
    if issuer.kind == "workload":
        name = _FIELD.sub(lambda found: _text(claims, found[1]), issuer.actor)
    elif issuer.name_claim is not None:
        name = _text(claims, issuer.name_claim)
    elif claims.get("email_verified") is True and claims.get("email"):
        name = _text(claims, "email")
    else:
        name = _text(claims, "sub")
        # At many issuers people choose it, and could choose the address of somebody else.
        if "@" in name:
            raise UnauthenticatedError(
                "The token has no verified email address, and a sub that looks like one. "
                "The setting name_claim of the issuer has to say which claim is the name."
            )
    _require_printable(name)
    return name


def groups_of(claims: Claims, issuer: IssuerSettings) -> tuple[str, ...]:
    """Return the groups that a token names, without the name of the issuer."""
    if issuer.groups_claim is None:
        return ()
    found = claim_of(claims, issuer.groups_claim)
    given = [found] if isinstance(found, str) else found
    if not isinstance(given, Sequence):
        return ()
    groups = dict.fromkeys(group for group in given if isinstance(group, str) and _is_name(group))
    return tuple(groups)[:MAX_GROUPS]


def _is_met(claim: object, pattern: ClaimPattern | tuple[ClaimPattern, ...]) -> bool:
    patterns = pattern if isinstance(pattern, tuple) else (pattern,)
    values = claim if isinstance(claim, list | tuple) else (claim,)
    return any(_is_like(value, each) for value in values for each in patterns)


def _is_like(value: object, pattern: ClaimPattern) -> bool:
    if isinstance(pattern, str):
        return isinstance(value, str) and _fits(value, pattern)
    # True equals 1, but is another claim.
    return type(value) is type(pattern) and value == pattern


def _fits(text: str, pattern: str) -> bool:
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    if not text.startswith(first):
        return False
    position = len(first)
    *middle, last = others
    for part in middle:
        found = text.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(text) - position >= len(last) and text.endswith(last)


def _text(claims: Claims, key: str) -> str:
    value = claim_of(claims, key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise UnauthenticatedError(f"The token has no claim {key!r}, which makes the name.")
    return value


def _require_printable(name: str) -> None:
    if not _is_name(name):
        raise UnauthenticatedError(
            f"The name of a principal must have 1 to {MAX_NAME} printable characters, and no "
            "space at its ends."
        )


def _is_name(name: str) -> bool:
    # Control characters, and those that change the direction of a text, are not printable.
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()
