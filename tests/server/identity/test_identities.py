"""Identities: whom a token is of, and what that one may do."""

import time
from collections.abc import Callable

import pytest

from configsvc_server.domain.access.grants import Grant, Role, Scope
from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.identity import identities as module
from configsvc_server.identity.identities import Identities
from tests.support.issuers import StubIssuer, new_key, public

Make = Callable[..., Identities]
Stored = dict[str, tuple[Grant, ...]]

RULES = [
    {"claims": {"groups": "ops"}, "role": "releaser", "application": "shop", "environment": "prod"},
    {"claims": {"groups": "ops"}, "role": "admin", "application": "nowhere"},
    {"claims": {"groups": "all"}, "role": "reader"},
]


def test_a_person_has_names_and_groups(make_identities: Make, issuer: StubIssuer) -> None:
    identities = make_identities(groups_claim="groups")

    principal = identities.authenticate(issuer.token(groups=["ops", "all"]))

    assert principal.kind == "user"
    assert principal.name == "corp:alice"
    assert principal.groups == ("group:corp:ops", "group:corp:all")
    assert principal.grants == ()


def test_rules_give_grants_of_applications_that_there_are(
    make_identities: Make, issuer: StubIssuer
) -> None:
    identities = make_identities(rules=RULES)

    principal = identities.authenticate(issuer.token(groups=["ops"]))

    assert principal.grants == (Grant(Role.RELEASER, Scope("01SHOP", "prod")),)


def test_stored_grants_of_a_person_and_its_groups_count_at_once(
    make_identities: Make, issuer: StubIssuer, stored: Stored
) -> None:
    identities = make_identities(groups_claim="groups", rules=RULES)
    token = issuer.token(groups=["all"])
    assert identities.authenticate(token).grants == (Grant(Role.READER),)

    stored["corp:alice"] = (Grant(Role.EDITOR),)
    stored["group:corp:all"] = (Grant(Role.ADMIN),)

    given = identities.authenticate(token)
    assert given.grants == (Grant(Role.READER), Grant(Role.EDITOR), Grant(Role.ADMIN))
    assert given.access.installation is Role.ADMIN
    stored.clear()
    assert identities.authenticate(token).access.installation is Role.READER


def test_a_known_token_is_not_verified_again(
    make_identities: Make, issuer: StubIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = make_identities()
    token = issuer.token()
    identities.authenticate(token)
    identities.authenticate(token)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "verify", refuse)

    assert identities.authenticate(token).name == "corp:alice"


def test_a_known_token_ends_when_it_expires(
    make_identities: Make, issuer: StubIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = make_identities()
    token = issuer.token()
    identities.authenticate(token)
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)

    with pytest.raises(UnauthenticatedError, match="expired"):
        identities.authenticate(token)


def test_a_workload_has_the_name_of_its_template(make_identities: Make, issuer: StubIssuer) -> None:
    identities = make_identities(kind="workload", actor="{repository}@{ref}")

    principal = identities.authenticate(issuer.token(repository="acme/shop", ref="refs/heads/main"))

    assert principal.kind == "workload"
    assert principal.name == "corp:acme/shop@refs/heads/main"


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("RSA", "PS256"), ("RSA", "RS512"), ("EC", "ES256"), ("OKP", "EdDSA")]
)
def test_asymmetric_algorithms_are_accepted(
    make_identities: Make, issuer: StubIssuer, kind: str, algorithm: str
) -> None:
    key = new_key("k2", kind)
    issuer.published.append(public(key))

    principal = make_identities().authenticate(issuer.token(key=key, algorithm=algorithm))

    assert principal.name == "corp:alice"


def test_bearer_tokens_need_audiences_in_the_settings(
    make_identities: Make, issuer: StubIssuer
) -> None:
    identities = make_identities(audiences=[], client_id="configsvc")

    with pytest.raises(UnauthenticatedError):
        identities.authenticate(issuer.token(aud="configsvc"))


def test_keys_in_a_file_need_no_issuer_on_the_network(
    make_identities: Make, issuer: StubIssuer, tmp_path: object
) -> None:
    import json
    from pathlib import Path

    path = Path(str(tmp_path)) / "jwks.json"
    path.write_text(json.dumps({"keys": issuer.published}))

    principal = make_identities(jwks_file=str(path)).authenticate(issuer.token())

    assert principal.name == "corp:alice"
    assert issuer.requests == []
