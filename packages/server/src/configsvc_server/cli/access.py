"""``configsvc token`` and ``configsvc grant``: administer access on the machine of the database.

They work on the database itself, so they need no token: whoever may do that is the operator. A
server that runs over it knows of each change within a second.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from configsvc_server.app import AccessAdministration, open_administration, open_database
from configsvc_server.cli.errors import operator_errors
from configsvc_server.cli.options import PRECEDENCE, setting_options, settings_from_flags
from configsvc_server.cli.signals import StopSignals
from configsvc_server.domain.access.grants import Grant, Role
from configsvc_server.domain.access.tokens import MAX_OVERLAP, Token
from configsvc_server.domain.errors import NotFoundError
from configsvc_server.domain.pages import Page, PageRequest, Sort
from configsvc_server.services.grant_requests import GrantRequest
from configsvc_server.services.tokens import CreatedToken, ShownToken

__all__ = ["grant", "token"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = ("database_url", "data_dir", "migrations_dir", "database_timeout")
_ROLES = [role.label for role in Role]
_DURATION = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Length of time, such as ``90d`` or ``12h``."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the length of time."""
        found = _DURATION.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is no length of time such as 90d, 12h or 30m", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _scope_options(function: F) -> F:
    for option in (
        click.option(
            "--environment", "-e", metavar="NAME", help="One environment of the application."
        ),
        click.option(
            "--application", "-a", metavar="NAME", help="Its id or name; everything if left out."
        ),
    ):
        function = option(function)
    return function


@click.group()
def token() -> None:
    """Create, list, rotate and revoke API tokens."""


@token.command("create", epilog=PRECEDENCE)
@click.argument("name")
@click.option("--admin", is_flag=True, help="May do everything: the role admin on everything.")
@click.option("--role", type=click.Choice(_ROLES), help="The role that it gets.")
@_scope_options
@click.option(
    "--expires", type=Duration(), metavar="TIME", help="How long it works, such as 90d or 12h."
)
@click.option("--message", "-m", metavar="TEXT", help="Why; kept in the audit trail.")
@setting_options(*_SETTINGS)
def create_token(
    name: str,
    *,
    admin: bool,
    role: str | None,
    application: str | None,
    environment: str | None,
    expires: timedelta | None,
    message: str | None,
    **flags: object,
) -> None:
    """Create the token NAME and print it: it alone, on standard output, and only now.

    \b
    Examples:
      configsvc token create ops --admin
      configsvc token create billing-prod --role reader -a billing -e prod --expires 90d
    """  # noqa: D301 - the control character is what click takes for "as it stands"
    if admin == (role is not None):
        raise click.UsageError("Give either --admin or --role.")
    if admin and (application or environment):
        raise click.UsageError("--admin is for everything; give --role admin with --application.")
    wanted = GrantRequest(role or Role.ADMIN.label, application, environment)
    with _administration(flags, message=message) as admin_of:
        expires_at = None if expires is None else datetime.now(UTC) + expires
        created = admin_of.tokens.create(
            name, [wanted], expires_at=expires_at, provenance=admin_of.provenance
        )
    if environment is not None and role == Role.EDITOR.label:
        click.echo(
            "Note: configurations belong to the whole application; on one environment an editor "
            "only reads.",
            err=True,
        )
    _print_secret(created)


@token.command("list", epilog=PRECEDENCE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@setting_options(*_SETTINGS)
def list_tokens(*, as_json: bool, **flags: object) -> None:
    """List all tokens, without their secrets."""
    with _administration(flags) as admin_of:
        for shown in _all(
            lambda request: admin_of.tokens.list(admin_of.provenance.principal, request)
        ):
            click.echo(_token_json(shown) if as_json else _token_line(shown))


@token.command("rotate", epilog=PRECEDENCE)
@click.argument("token_name", metavar="TOKEN")
@click.option(
    "--overlap",
    type=Duration(),
    default="1d",
    metavar="TIME",
    help="How long the secret before works on: 1d by default, 7d at most, 0s for not at all.",
)
@click.option("--message", "-m", metavar="TEXT", help="Why; kept in the audit trail.")
@setting_options(*_SETTINGS)
def rotate_token(
    token_name: str, *, overlap: timedelta, message: str | None, **flags: object
) -> None:
    """Give TOKEN (its name or id) a new secret and print that, alone, on standard output."""
    if overlap > MAX_OVERLAP:
        raise click.UsageError("--overlap can be 7d at most.")
    with _administration(flags, message=message) as admin_of:
        found = _find_token(admin_of, token_name)
        _print_secret(
            admin_of.tokens.rotate(found.id, overlap=overlap, provenance=admin_of.provenance)
        )


@token.command("revoke", epilog=PRECEDENCE)
@click.argument("token_name", metavar="TOKEN")
@click.option("--message", "-m", metavar="TEXT", help="Why; kept in the audit trail.")
@setting_options(*_SETTINGS)
def revoke_token(token_name: str, *, message: str | None, **flags: object) -> None:
    """Revoke TOKEN (its name or id), on every server within a second."""
    with _administration(flags, message=message) as admin_of:
        found = _find_token(admin_of, token_name)
        admin_of.tokens.delete(found.id, provenance=admin_of.provenance)
        click.echo(f"Revoked {found.name} (…{found.hint}).", err=True)


@click.group()
def grant() -> None:
    """Give roles to people, groups and tokens, list and withdraw them."""


@grant.command("create", epilog=PRECEDENCE)
@click.argument("principal")
@click.argument("role", type=click.Choice(_ROLES))
@_scope_options
@click.option("--message", "-m", metavar="TEXT", help="Why; kept in the audit trail.")
@setting_options(*_SETTINGS)
def create_grant(
    principal: str,
    role: str,
    *,
    application: str | None,
    environment: str | None,
    message: str | None,
    **flags: object,
) -> None:
    """Give PRINCIPAL the ROLE.

    PRINCIPAL is ISSUER:NAME, group:ISSUER:NAME or token:ID.

    \b
    Examples:
      configsvc grant create corp:alice@example.com editor -a billing
      configsvc grant create group:corp:platform admin
    """  # noqa: D301 - the control character is what click takes for "as it stands"
    with _administration(flags, message=message) as admin_of:
        listed = admin_of.grants.create(
            principal,
            GrantRequest(role, application, environment),
            provenance=admin_of.provenance,
        )
    click.echo(listed.stored.id)


@grant.command("list", epilog=PRECEDENCE)
@click.option("--principal", metavar="NAME", help="Only those to this principal or group.")
@setting_options(*_SETTINGS)
def list_grants(*, principal: str | None, **flags: object) -> None:
    """List all grants."""
    with _administration(flags) as admin_of:
        for listed in _all(
            lambda request: admin_of.grants.list(
                admin_of.provenance.principal, request, of=principal
            )
        ):
            where = _where(listed.stored.grant, listed.application)
            click.echo(f"{listed.stored.id}  {listed.stored.principal:40}  {where}")


@grant.command("delete", epilog=PRECEDENCE)
@click.argument("grant_id")
@click.option("--message", "-m", metavar="TEXT", help="Why; kept in the audit trail.")
@setting_options(*_SETTINGS)
def delete_grant(grant_id: str, *, message: str | None, **flags: object) -> None:
    """Withdraw the grant GRANT_ID (see list)."""
    with _administration(flags, message=message) as admin_of:
        admin_of.grants.delete(grant_id, provenance=admin_of.provenance)
        click.echo("Withdrawn.", err=True)


@contextmanager
def _administration(
    flags: dict[str, object], *, message: str | None = None
) -> Iterator[AccessAdministration]:
    """Yield what a command needs, which then deals with signals and errors."""
    with StopSignals() as signals, operator_errors(signals.ends_start):
        settings = settings_from_flags(flags)
        with (
            open_database(settings, create=False, cancelled=signals.requested) as database,
            signals.interrupting(),
            open_administration(settings, database.url, message=message) as admin_of,
        ):
            yield admin_of


def _all(page: Callable[[PageRequest], Page[T]]) -> Iterator[T]:
    """Yield the items of all pages."""
    request = PageRequest(1000, Sort(("id",)))
    while True:
        found = page(request)
        yield from found.items
        if not found.has_more:
            return
        request = PageRequest(1000, request.sort, after=found.last)


def _find_token(admin_of: AccessAdministration, key: str) -> Token:
    principal = admin_of.provenance.principal
    for shown in _all(lambda request: admin_of.tokens.list(principal, request)):
        if key in {shown.token.name, shown.token.id}:
            return shown.token
    raise NotFoundError("token", key)


def _print_secret(created: CreatedToken) -> None:
    token_of = created.shown.token
    click.echo(f"Token {token_of.name} ({token_of.id}); it is shown only now:", err=True)
    click.echo(created.secret)


def _where(given: Grant, application: str | None) -> str:
    scope = given.scope
    place = "everything" if scope.application_id is None else application or scope.application_id
    return f"{given.role.label} on {place}" + (f"/{scope.environment}" if scope.environment else "")


def _token_line(shown: ShownToken) -> str:
    token_of = shown.token
    grants = ", ".join(_where(item.grant, item.application) for item in shown.grants)
    ends = "never expires"
    if token_of.expires_at is not None:
        verb = "expired" if token_of.expires_at <= datetime.now(UTC) else "expires"
        ends = f"{verb} {token_of.expires_at:%Y-%m-%d %H:%M}Z"
    used = "never used"
    if token_of.last_used_at is not None:
        used = f"used {token_of.last_used_at:%Y-%m-%d %H:%M}Z from {token_of.last_used_address}"
    named = f"{token_of.id}  {token_of.name:24}  …{token_of.hint}"
    return f"{named}  {grants or 'nothing'}  {ends}, {used}"


def _token_json(shown: ShownToken) -> str:
    token_of = shown.token
    return json.dumps(
        {
            "id": token_of.id,
            "name": token_of.name,
            "hint": token_of.hint,
            "grants": [_where(item.grant, item.application) for item in shown.grants],
            "expires_at": None if token_of.expires_at is None else token_of.expires_at.isoformat(),
            "last_used_at": None
            if token_of.last_used_at is None
            else token_of.last_used_at.isoformat(),
            "last_used_address": token_of.last_used_address,
        }
    )
