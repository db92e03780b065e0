"""Models of access: who has which role where, and tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from configsvc_client._values.secrets import Secret

__all__ = ["CreatedToken", "Grant", "Me", "OwnToken", "StoredGrant", "Token"]


@dataclass(frozen=True, slots=True)
class Grant:
    """Grant: a role on everything, on one application, or on one environment of it.

    Example:
        >>> Grant("releaser", "shop", "prod")
        <Grant: releaser on shop/prod>
        >>> Grant("reader")
        <Grant: reader on everything>
    """

    role: str
    """``reader``, ``editor``, ``releaser`` or ``admin``; each may do what those before it may."""
    application: str | None = None
    """Name or id of the application; ``None`` for everything."""
    environment: str | None = None
    """Name of an environment of the application; ``None`` for all that it has."""
    application_id: str | None = None
    """Id of the application, which goes before its name; grants from the server have it."""

    def __repr__(self) -> str:
        return f"<Grant: {self}>"

    def __str__(self) -> str:
        application = self.application or self.application_id
        if application is None:
            return f"{self.role} on everything"
        environment = "" if self.environment is None else f"/{self.environment}"
        return f"{self.role} on {application}{environment}"


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """Grant that somebody was given: a person, a workload, a token, or a group.

    Example:
        >>> client.grants.create("corp:ada@example.com", "editor", "billing")
        <StoredGrant ...: 'corp:ada@example.com' is editor on billing>
    """

    id: str
    """ULID."""
    principal: str
    """``ISSUER:NAME``, ``group:ISSUER:NAME``, or ``token:`` and the id of a token."""
    grant: Grant
    """Role and scope."""
    created_at: datetime
    """Time in UTC, timezone-aware."""
    created_by: str

    def __repr__(self) -> str:
        return f"<StoredGrant {self.id}: {self.principal!r} is {self.grant}>"


@dataclass(frozen=True, slots=True)
class Token:
    """API token, as the server shows it: all but the token itself.

    Example:
        >>> created = client.tokens.create(name="deploy", grants=[Grant("releaser", "shop")])
        >>> client.tokens.get(created.id)
        <Token 'deploy' ...: releaser on shop>
    """

    id: str
    """ULID."""
    name: str
    hint: str
    """Its last four characters, by which people recognise it."""
    grants: tuple[Grant, ...]
    """Grants that it was created with."""
    created_at: datetime
    """Time in UTC, timezone-aware."""
    created_by: str
    expires_at: datetime | None
    """Time at which it ceases to work; ``None`` for never."""
    rotated_at: datetime | None
    """Time of the last rotation; ``None`` where there was none."""
    previous_expires_at: datetime | None
    """Time until which the token before the last rotation works."""
    last_used_at: datetime | None
    """Time of its last use, exact to a minute; ``None`` where there was none."""
    last_used_address: str | None
    """IP address of its last use."""
    last_used_client: str | None
    """``User-Agent`` of its last use."""

    def __repr__(self) -> str:
        granted = ", ".join(map(str, self.grants)) or "no grants of its own"
        return f"<{type(self).__name__} {self.name!r} {self.id}: {granted}>"


@dataclass(frozen=True, slots=True, repr=False)
class CreatedToken(Token):
    """API token with the token itself, which the server tells once and does not keep.

    Example:
        >>> created = client.tokens.create(name="app", grants=[Grant("reader", "shop", "default")])
        >>> created.token, created.token.startswith("configsvc_")
        ('**********', True)
    """

    token: Secret
    """Token to be sent; its ``repr`` is masked, ``str()`` is its text."""


@dataclass(frozen=True, slots=True)
class OwnToken:
    """Token that a client sends: its id, its name, and when it ceases to work.

    Example:
        >>> client.me().token is None  # this client sends none
        True
    """

    id: str
    """ULID."""
    name: str
    expires_at: datetime | None
    """Time at which it ceases to work; ``None`` for never."""


@dataclass(frozen=True, slots=True)
class Me:
    """Principal that a server takes a client for, with all that it is granted.

    Example:
        >>> client.me()
        <Me 'anonymous': admin on everything>
    """

    kind: str
    """``anonymous``, ``operator``, ``token``, ``user`` or ``workload``."""
    name: str
    """Name, as the history has it: ``token:deploy``, ``corp:ada@example.com``."""
    groups: tuple[str, ...]
    """Names of the groups whose grants it has, too."""
    grants: Sequence[Grant]
    """Grants of its own and of its groups."""
    token: OwnToken | None
    """API token that was sent; ``None`` where it was something else, or nothing."""
    auth: str
    """``required``, or ``off`` where everybody may do everything."""

    def __repr__(self) -> str:
        return f"<Me {self.name!r}: {', '.join(map(str, self.grants)) or 'no grants'}>"
