"""Issuers, and identities over them."""

from collections.abc import Callable, Iterator

import pytest

from configsvc_server.domain.access.grants import Grant, Scope
from configsvc_server.identity.identities import Identities
from configsvc_server.identity.settings import AuthSettings
from tests.support.issuers import AUDIENCE, StubIssuer, stub_issuer

APPLICATIONS = {"shop": "01SHOP"}


def find_scope(application: str | None, environment: str | None) -> Scope | None:
    if application is None:
        return Scope()
    found = APPLICATIONS.get(application)
    return None if found is None else Scope(found, environment)


@pytest.fixture
def issuer() -> Iterator[StubIssuer]:
    with stub_issuer() as issuer:
        yield issuer


@pytest.fixture
def stored() -> dict[str, tuple[Grant, ...]]:
    """What is granted to whom."""
    return {}


@pytest.fixture
def make_identities(
    issuer: StubIssuer, stored: dict[str, tuple[Grant, ...]]
) -> Callable[..., Identities]:
    def make(**settings: object) -> Identities:
        return Identities(
            AuthSettings.model_validate(
                {
                    "issuers": [
                        {
                            "name": "corp",
                            "issuer": issuer.url,
                            "audiences": [AUDIENCE],
                            **settings,
                        }
                    ]
                }
            ),
            grants_of=lambda names: tuple(g for name in names for g in stored.get(name, ())),
            find_scope=find_scope,
        )

    return make
