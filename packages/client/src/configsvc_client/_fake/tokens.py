"""Token endpoints of the fake, grants, and who a call is made by.

Its clock is none that anybody waits for: tokens do not expire, and the old text of a rotation with
an overlap works until the next one.
"""

from datetime import datetime, timedelta
from http import HTTPStatus

from configsvc_client._fake.access import EVERYBODY, ROLES, Principal, require, unauthorized
from configsvc_client._fake.calls import Call, Reply, page
from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import conflict, invalid, not_found
from configsvc_client._fake.state import State

__all__ = ["grant", "grants", "me", "principal_of", "rotate", "token", "tokens"]

_HIDDEN = ("secrets",)
_DAY = 86_400
_WEEK = 7 * _DAY
_SCOPE = ("role", "application_id", "application", "environment")


def principal_of(state: State, secret: str | None) -> Principal:
    """Return who sends a token; everybody is who sends none.

    Raises:
        ProblemError: nobody knows the token.
    """
    if secret is None:
        return EVERYBODY
    for record in state.tokens.values():
        if secret in record["secrets"]:
            names = f"token:{record['id']}"
            given = [item for item in state.grants.values() if item["principal"] == names]
            scopes = [*record["grants"], *({name: item[name] for name in _SCOPE} for item in given)]
            return Principal(f"token:{record['name']}", scopes, record)
    raise unauthorized()


def me(_state: State, call: Call) -> Reply:
    """Answer ``/me``."""
    record = call.principal.token
    is_known = record is not None
    return Reply(
        {
            "kind": "token" if is_known else "anonymous",
            "name": call.principal.actor if is_known else "anonymous",
            "groups": [],
            "grants": list(call.principal.grants),
            "token": record and {name: record[name] for name in ("id", "name", "expires_at")},
            "csrf_token": None,
            "auth": "required" if is_known else "off",
        }
    )


def tokens(state: State, call: Call) -> Reply:
    """Answer ``/tokens``."""
    if call.method == "POST":
        return _create(state, call)
    found = [record for record in state.tokens.values() if _administers(call, record)]
    return page(call, [_shown(record) for record in found])


def token(state: State, call: Call, key: str) -> Reply:
    """Answer ``/tokens/{id}``."""
    record = _token(state, call, key)
    if call.method == "DELETE":
        del state.tokens[key]
        _log(state, call, "delete", "token", record, record["grants"], f"token:{key}")
        return Reply(None, status=HTTPStatus.NO_CONTENT)
    return Reply(_shown(record))


def rotate(state: State, call: Call, key: str) -> Reply:
    """Answer ``/tokens/{id}/rotate``."""
    record = _token(state, call, key)
    overlap = call.body.get("overlap", _DAY)
    if not 0 <= overlap <= _WEEK:
        raise invalid("/overlap", f"must be 0 to {_WEEK}")
    until = datetime.fromisoformat(call.timestamp) + timedelta(seconds=overlap)
    secret = _new_secret(state)
    record.update(
        secrets=[secret, *(record["secrets"][:1] if overlap else [])],
        hint=secret[-4:],
        rotated_at=call.timestamp,
        previous_expires_at=until.isoformat().replace("+00:00", "Z") if overlap else None,
        expires_at=call.body.get("expires_at", record["expires_at"]),
    )
    _log(state, call, "rotate", "token", record, record["grants"], f"token:{key}")
    return Reply({**_shown(record), "token": secret})


def grants(state: State, call: Call) -> Reply:
    """Answer ``/grants``."""
    if call.method == "POST":
        return _give(state, call)
    principal, application_id = call.param("principal"), call.param("application_id")
    found = [
        record
        for record in state.grants.values()
        if call.principal.may("admin", record["application_id"], record["environment"])
        and principal in (None, record["principal"])
        and application_id in (None, record["application_id"])
    ]
    return page(call, found)


def grant(state: State, call: Call, key: str) -> Reply:
    """Answer ``/grants/{id}``."""
    record = state.grants.get(key)
    if record is None or not call.principal.may(
        "admin", record["application_id"], record["environment"]
    ):
        raise not_found("grant", key)
    del state.grants[key]
    _log_grant(state, call, "delete", record)
    return Reply(None, status=HTTPStatus.NO_CONTENT)


def _create(state: State, call: Call) -> Reply:
    body = call.body
    if not isinstance(body.get("name"), str) or not body["name"].strip():
        raise invalid("/name", "must have 1 to 256 characters")
    if any(record["name"] == body["name"] for record in state.tokens.values()):
        raise conflict(
            "name-taken", f"There is already a token with name {body['name']!r}.", "/name"
        )
    asked = body.get("grants")
    if not asked:
        raise invalid("/grants", "must have 1 to 50 items")
    given = [_scope(state, call, item, f"/grants/{index}") for index, item in enumerate(asked)]
    secret = _new_secret(state)
    record: Record = {
        "id": state.new_id(),
        "name": body["name"],
        "hint": secret[-4:],
        "grants": given,
        "created_at": call.timestamp,
        "created_by": call.principal.actor,
        "expires_at": body.get("expires_at"),
        "rotated_at": None,
        "previous_expires_at": None,
        "last_used_at": None,
        "last_used_address": None,
        "last_used_client": None,
        "secrets": [secret],
    }
    state.tokens[record["id"]] = record
    _log(state, call, "create", "token", record, given, f"token:{record['id']}")
    return Reply({**_shown(record), "token": secret}, status=HTTPStatus.CREATED)


def _give(state: State, call: Call) -> Reply:
    body = call.body
    if not isinstance(body.get("principal"), str) or ":" not in body["principal"]:
        raise invalid("/principal", "must be like issuer:name")
    scope = _scope(state, call, body, "")
    wanted = {"principal": body["principal"], **scope}
    if any(wanted.items() <= record.items() for record in state.grants.values()):
        raise conflict("grant-exists", "There is such a grant already.", "/role")
    record: Record = {
        "id": state.new_id(),
        **wanted,
        "created_at": call.timestamp,
        "created_by": call.principal.actor,
    }
    state.grants[record["id"]] = record
    _log_grant(state, call, "create", record)
    return Reply(record, status=HTTPStatus.CREATED)


def _scope(state: State, call: Call, asked: Record, pointer: str) -> Record:
    """Return a grant that is asked for, if the principal of a call may give it."""
    role, key, environment = (asked.get(name) for name in ("role", "application", "environment"))
    if role not in ROLES:
        raise invalid(f"{pointer}/role", f"must be one of {', '.join(ROLES)}")
    if environment is not None and key is None:
        raise invalid(f"{pointer}/environment", "needs an application")
    application = None if key is None else state.application(key)
    if application is not None and environment is not None:
        state.environment(application["id"], environment, f"{pointer}/environment")
    require(call.principal, "admin", application, environment)
    return {
        "role": role,
        "application_id": application and application["id"],
        "application": application and application["name"],
        "environment": environment,
    }


def _token(state: State, call: Call, key: str) -> Record:
    record = state.tokens.get(key)
    if record is None or not _administers(call, record):
        raise not_found("token", key)
    return record


def _administers(call: Call, record: Record) -> bool:
    is_own = call.principal.token is record
    return is_own or all(
        call.principal.may("admin", scope["application_id"], scope["environment"])
        for scope in record["grants"]
    )


def _shown(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in _HIDDEN}


def _new_secret(state: State) -> str:
    return f"configsvc_{int(state.new_id()):038d}"


def _log_grant(state: State, call: Call, action: str, record: Record) -> None:
    named = {**record, "name": record["principal"]}
    scope = {name: record[name] for name in _SCOPE}
    _log(state, call, action, "grant", named, [scope], record["principal"])


def _log(
    state: State,
    call: Call,
    action: str,
    entity: str,
    record: Record,
    scopes: list[Record],
    principal: str,
) -> None:
    details = {"principal": principal, "grants": scopes}
    application_id = record.get("application_id")
    state.log(call, action, entity, record, application_id=application_id, details=details)
