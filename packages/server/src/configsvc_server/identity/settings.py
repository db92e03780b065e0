"""Settings of issuers: who vouches for persons and workloads, and what their claims give.

They are a TOML file, because they are lists of tables, and because they are reviewed like code. A
mistake in them could let somebody in, so nothing in them is guessed: unknown keys are mistakes.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from configsvc_server.domain.access.grants import Role
from configsvc_server.domain.access.principals import RESERVED_ISSUERS

__all__ = [
    "AuthFileError",
    "AuthSettings",
    "ClaimPattern",
    "IssuerSettings",
    "RuleSettings",
    "is_safe_url",
    "load_auth_file",
]

ClaimPattern: TypeAlias = StrictStr | StrictBool | StrictInt
"""What a claim must be. In a text, each ``*`` stands for any characters."""

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
_Text = Annotated[str, Field(min_length=1, max_length=1024)]

_MAX_FILE_BYTES: Final = 1024 * 1024

_SHARED: Final = {
    "https://token.actions.githubusercontent.com": frozenset(
        {
            "sub",
            "repository",
            "repository_id",
            "repository_owner",
            "repository_owner_id",
            "enterprise",
            "enterprise_id",
        }
    ),
    "https://gitlab.com": frozenset(
        {"sub", "project_path", "project_id", "namespace_path", "namespace_id"}
    ),
    "https://accounts.google.com": frozenset({"sub", "email", "hd"}),
}
"""Issuers that anybody can have a token of, with the claims that tell whose it is."""


class AuthFileError(Exception):
    """The file of issuers is invalid; the message has one line for each mistake."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleSettings(_Settings):
    """Rule that gives a role to whoever has certain claims."""

    claims: dict[_Text, ClaimPattern | tuple[ClaimPattern, ...]] = Field(min_length=1)
    role: Literal["reader", "editor", "releaser", "admin"]
    application: _Text | None = None
    """Id or name; ``None`` for the installation."""
    environment: _Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.environment is not None and self.application is None:
            raise ValueError("environment needs the application that it is of")
        if any(pattern in ((), "") for pattern in self.claims.values()):
            raise ValueError("claims must not expect nothing of a claim")
        return self

    @property
    def level(self) -> Role:
        """The role."""
        return Role.of(self.role)


class IssuerSettings(_Settings):
    """Issuer that vouches for persons or workloads."""

    name: _Name
    """Begins the names of those it vouches for."""
    issuer: _Text
    """Its URL, exactly as in the claim ``iss``."""
    kind: Literal["person", "workload"] = "person"
    audiences: tuple[_Text, ...] = ()
    """Values of ``aud`` with which its tokens are accepted at the API."""
    client_id: _Text | None = None
    """This server at the issuer, for persons who sign in."""
    client_secret_file: Path | None = None
    scopes: tuple[_Text, ...] = ("openid", "email", "profile")
    name_claim: _Text | None = None
    """Claim with the name of a person; by default the verified email address, else ``sub``."""
    groups_claim: _Text | None = None
    actor: _Text = "{sub}"
    """Name of a workload, with claims in braces."""
    ca_file: Path | None = None
    """Certificates to trust instead of the usual ones."""
    jwks_uri: _Text | None = None
    jwks_file: Path | None = None
    rules: tuple[RuleSettings, ...] = ()

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if value in RESERVED_ISSUERS:
            raise ValueError(f"must not be {value!r}, which begins other names")
        return value

    @field_validator("issuer", "jwks_uri")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None and not is_safe_url(value):
            raise ValueError("must be an https URL without user, query and fragment")
        return value

    @field_validator("client_secret_file", "ca_file", "jwks_file")
    @classmethod
    def _check_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("must be a file that there is")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        for message in self._mistakes():
            raise ValueError(message)
        return self

    def _mistakes(self) -> Iterable[str]:
        if self.kind == "workload":
            if not self.audiences:
                yield "audiences must not be empty for workloads"
            if self.client_id is not None:
                yield "client_id is for persons; workloads do not sign in"
            if self.actor.count("{") != self.actor.count("}") or "{" not in self.actor:
                yield "actor must have claims in braces, such as {sub}"
        elif self.client_id is None and not self.audiences:
            yield "client_id or audiences must be given for persons"
        if self.client_secret_file is not None and self.client_id is None:
            yield "client_secret_file needs client_id"
        if self.client_id is not None and "openid" not in self.scopes:
            yield "scopes must have openid"
        if self.jwks_uri is not None and self.jwks_file is not None:
            yield "jwks_uri and jwks_file exclude each other"
        if self.client_id is not None and (self.jwks_uri or self.jwks_file):
            yield "jwks_uri and jwks_file are for issuers without client_id"
        owning = _SHARED.get(self.issuer.rstrip("/"))
        for index, rule in enumerate(self.rules):
            if owning is not None and not _names_owner(rule, owning):
                yield (
                    f"rules[{index}].claims must say whose token it is, because anybody can have "
                    f"one of this issuer: by one of {', '.join(sorted(owning))}, not beginning "
                    "with *"
                )


class AuthSettings(_Settings):
    """All issuers."""

    issuers: tuple[IssuerSettings, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for attribute in ("name", "issuer"):
            values = [getattr(issuer, attribute) for issuer in self.issuers]
            for value in values:
                if values.count(value) > 1:
                    raise ValueError(f"issuers must differ in {attribute}: {value} is there twice")
        return self


def load_auth_file(path: Path) -> AuthSettings:
    """Return the settings of a file.

    Relative paths in it start at its folder.

    Raises:
        AuthFileError: it can't be read, or has mistakes.
    """
    try:
        content = path.read_bytes()
        if len(content) > _MAX_FILE_BYTES:
            raise AuthFileError(f"{path}: has more than {_MAX_FILE_BYTES} bytes")
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise AuthFileError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AuthFileError(f"{path}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise AuthFileError(f"{path}: is not TOML: {error}") from None
    issuers = document.get("issuers")
    for table in issuers if isinstance(issuers, list) else ():
        _resolve_paths(table, path.parent)
    try:
        return AuthSettings.model_validate(document)
    except ValidationError as error:
        # Without the input: a secret may have been written where none belongs.
        lines = [
            f"{path}: {_key(problem['loc'])}{_message(problem['type'], problem['msg'])}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise AuthFileError("\n".join(dict.fromkeys(lines))) from None


def is_safe_url(url: str) -> bool:
    """Return whether what is fetched from ``url`` is authentic: by TLS, or from this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
    is_local = host in {"localhost", "127.0.0.1", "::1"}
    return (
        is_plain
        and bool(host)
        and (parts.scheme == "https" or (parts.scheme == "http" and is_local))
    )


def _names_owner(rule: RuleSettings, owning: frozenset[str]) -> bool:
    for claim in owning & rule.claims.keys():
        pattern = rule.claims[claim]
        patterns = pattern if isinstance(pattern, tuple) else (pattern,)
        if not any(isinstance(each, str) and each.startswith("*") for each in patterns):
            return True
    return False


def _resolve_paths(table: object, folder: Path) -> None:
    if isinstance(table, dict):
        for key in ("client_secret_file", "ca_file", "jwks_file"):
            value = table.get(key)
            if isinstance(value, str):
                table[key] = str(folder / Path(value))


def _key(location: tuple[int | str, ...]) -> str:
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part not in _UNION_MEMBERS:
            key += f".{part}" if key else part
    return f"{key}: " if key else ""


# pydantic names the alternatives of a union in the place of a mistake.
_UNION_MEMBERS: Final = frozenset({"str", "bool", "int"}) | {
    "tuple[union[str,bool,int],...]",
    "tuple[union[str, bool, int], ...]",
}


def _message(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "is no setting"
        case "missing":
            return "is missing"
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
