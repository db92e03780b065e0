"""Principals: the persons, machines and workloads that act."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from configsvc_server.domain.access.grants import EVERYTHING, NO_ACCESS, Access, Grant, Role

__all__ = ["NOBODY", "RESERVED_ISSUERS", "Principal", "PrincipalKind", "anonymous", "operator"]

PrincipalKind: TypeAlias = Literal["anonymous", "operator", "token", "user", "workload"]
"""Kind of a principal: nobody in particular, the owner of the machine that the server runs on, an
API token, a person whom an issuer knows, or a program that its platform knows."""

RESERVED_ISSUERS: Final = frozenset({"anonymous", "group", "operator", "token"})
"""Names that no issuer may have: they begin the names of other principals."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts, and what that one may do."""

    kind: PrincipalKind
    name: str
    """Readable and unique: the author of what it writes. ``token:ci``, or
    ``ISSUER:NAME``, such as ``github:acme/shop@refs/heads/main``."""
    access: Access = NO_ACCESS
    """What its grants give."""
    grants: tuple[Grant, ...] = ()
    """The grants themselves, also those of its groups."""
    token_id: str | None = None
    """Id of the token; for a token only."""
    groups: tuple[str, ...] = ()
    """Groups that its issuer says it is in, as grants name them."""
    caller: str = ""
    """Who shares scarce work fairly with others: by default the principal."""

    @property
    def fair_key(self) -> str:
        """Who has to share scarce work fairly with others."""
        return self.caller or self.name


NOBODY: Final = Principal("anonymous", "anonymous")
"""Who has no right at all."""


def anonymous(peer: str) -> Principal:
    """Return who calls a server without authentication: anybody, who may do everything.

    Args:
        peer: who has to share scarce work fairly with others.
    """
    return Principal("anonymous", "anonymous", EVERYTHING, (Grant(Role.ADMIN),), caller=peer)


def operator(name: str) -> Principal:
    """Return who acts on the machine itself, over the database, and may do everything."""
    return Principal("operator", f"operator:{name}", EVERYTHING, (Grant(Role.ADMIN),))
