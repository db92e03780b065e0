"""Claims: names, groups, and rules."""

from typing import Any

import pytest

from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.identity.claims import claim_of, groups_of, meets, name_of
from configsvc_server.identity.settings import IssuerSettings, RuleSettings


def person(**others: Any) -> IssuerSettings:
    return IssuerSettings.model_validate(
        {"name": "corp", "issuer": "https://a.example", "client_id": "c", **others}
    )


def workload(actor: str) -> IssuerSettings:
    return IssuerSettings.model_validate(
        {
            "name": "ci",
            "issuer": "https://a.example",
            "kind": "workload",
            "audiences": ["us"],
            "actor": actor,
        }
    )


@pytest.mark.parametrize(
    ("pattern", "claim", "expected"),
    [
        ("acme/shop", "acme/shop", True),
        ("acme/shop", "acme/shop2", False),
        ("acme/shop", "Acme/shop", False),
        ("acme/*", "acme/shop", True),
        ("acme/*", "evil/acme/shop", False),
        ("*/shop", "acme/shop", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a.c", "abc", False),
        ("true", True, False),
        (True, True, True),
        (True, 1, False),
        (1, 1, True),
        (1, True, False),
        ("a", ["b", "a"], True),
        ("a", ["b", ["a"]], False),
        (("a", "b"), "b", True),
        (("a", "b"), "c", False),
        ("a", None, False),
        ("a", {"a": 1}, False),
    ],
)
def test_a_claim_meets_what_a_rule_expects(pattern: object, claim: object, expected: bool) -> None:
    rule = RuleSettings.model_validate({"claims": {"key": pattern}, "role": "reader"})

    assert meets({"key": claim}, rule) is expected


def test_all_claims_of_a_rule_must_be_met() -> None:
    rule = RuleSettings.model_validate({"claims": {"a": "1", "b": "2"}, "role": "reader"})

    assert meets({"a": "1", "b": "2"}, rule)
    assert not meets({"a": "1"}, rule)


def test_many_stars_take_no_time() -> None:
    rule = RuleSettings.model_validate({"claims": {"a": "*a" * 400 + "b"}, "role": "reader"})

    assert not meets({"a": "a" * 10_000}, rule)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("kubernetes.io/namespace", "shop"),
        ("https://example.com/roles", ["x"]),
        ("realm_access/roles", ["y"]),
        ("realm_access/nothing", None),
        ("nothing/at/all", None),
    ],
)
def test_claims_are_found_in_others(key: str, expected: object) -> None:
    claims = {
        "kubernetes.io": {"namespace": "shop"},
        "https://example.com/roles": ["x"],
        "realm_access": {"roles": ["y"]},
    }

    assert claim_of(claims, key) == expected


def test_a_person_is_named_by_a_verified_address() -> None:
    claims = {"sub": "42", "email": "a@example.com", "email_verified": True}

    assert name_of(claims, person()) == "a@example.com"


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_is_not_verified_is_no_name(verified: object) -> None:
    claims = {"sub": "42", "email": "boss@example.com", "email_verified": verified}

    assert name_of(claims, person()) == "42"


def test_a_sub_that_looks_like_an_address_is_refused() -> None:
    with pytest.raises(UnauthenticatedError, match="name_claim"):
        name_of({"sub": "boss@example.com"}, person())

    assert name_of({"sub": "boss@example.com"}, person(name_claim="sub")) == "boss@example.com"


def test_a_workload_is_named_by_its_template() -> None:
    claims = {"repository": "acme/shop", "ref": "refs/heads/main", "run": 7}

    named = name_of(claims, workload("{repository}@{ref} #{run}"))

    assert named == "acme/shop@refs/heads/main #7"


@pytest.mark.parametrize(
    "name", ["a\nb", "a\0", "\u202eabc", "a\u200bb", " a", "a" * 256, "", ["a"], {"a": 1}, True]
)
def test_names_are_short_and_printable(name: object) -> None:
    with pytest.raises(UnauthenticatedError):
        name_of({"sub": name}, workload("{sub}"))


def test_groups_are_those_with_usable_names() -> None:
    claims = {"groups": ["a", "b", "a", 1, "c\n", "", "d" * 300]}

    assert groups_of(claims, person(groups_claim="groups")) == ("a", "b")
    assert groups_of(claims, person()) == ()
    assert groups_of({"groups": "a"}, person(groups_claim="groups")) == ("a",)
    assert groups_of({"groups": {"a": 1}}, person(groups_claim="groups")) == ()
