"""Versions of configurations: what is asked for, and what is made of the answers."""

from typing import Any

import pytest
import responses
from responses import matchers

from configsvc_client import (
    ConfigClient,
    Configuration,
    ConflictError,
    DiffSide,
    NotFoundError,
    ServerError,
    ValidationError,
)
from tests.client.documents import (
    APPLICATION,
    APPLICATION_ID,
    BASE,
    CONFIGURATION,
    CONFIGURATION_ID,
    REVISION,
    header,
    page,
    sent,
)

URL = f"{BASE}/configurations/{CONFIGURATION_ID}"
DIFF: dict[str, Any] = {
    "configuration_id": CONFIGURATION_ID,
    "from": {"version": 2, "environment": None},
    "to": {"version": 3, "environment": None},
    "patch": [{"op": "replace", "path": "/config/pool_size", "value": 20}],
    "changes": [
        {"path": "/config/pool_size", "kind": "changed", "old": 10, "new": 20},
        {"path": "/comments", "kind": "removed", "old": "c"},
        {"path": "/schema", "kind": "added", "new": {"a": 1}},
    ],
}


@pytest.fixture
def client() -> ConfigClient:
    return ConfigClient("http://server", retries=0)


@pytest.fixture
def configuration(client: ConfigClient, mock: responses.RequestsMock) -> Configuration:
    mock.get(URL, json=CONFIGURATION)
    return client.configurations.get(CONFIGURATION_ID)


def test_a_revision_is_read(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.get(f"{URL}/revisions/3", json=REVISION)
    found = client.configurations.revision(CONFIGURATION_ID, 3)
    assert (found.version, found.author, found.message) == (3, "ada", "more load")
    assert found.overlays == {"prod": {"pool_size": 50}}
    assert found.created_at.utcoffset() is not None
    assert repr(found) == "<Revision 3 of 'database', 2026-11-24 08:00 UTC by ada: more load>"


def test_a_long_message_is_shown_in_part(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{URL}/revisions/3", json={**REVISION, "message": "first line\n" + "x" * 100})
    shown = repr(client.configurations.revision(CONFIGURATION_ID, 3))
    assert ": first line xxx" in shown
    assert shown.endswith("x…>")


def test_history_is_a_list_of_revisions(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.get(f"{URL}/revisions", json=page(REVISION))
    found = client.configurations.history(CONFIGURATION_ID)
    assert [revision.version for revision in found] == [3]
    assert repr(found) == "<revisions: 1 of 1 given>"


def test_history_can_begin_with_the_newest(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    query = matchers.query_param_matcher({"sort": "-version", "limit": "10"})
    mock.get(f"{URL}/revisions", json=page(REVISION), match=[query])
    history = client.configurations.history(CONFIGURATION_ID, newest_first=True, page_size=10)
    assert next(history).version == 3


def test_a_list_without_a_total_is_shown_without(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{URL}/revisions", json={"items": [REVISION], "has_more": False, "next": None})
    found = client.configurations.history(CONFIGURATION_ID)
    assert len(list(found)) == 1
    assert repr(found) == "<revisions: 1 given>"


def test_differences_are_shown_one_on_a_line(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{URL}/diff", json=DIFF, match=[matchers.query_param_matcher({})])
    found = client.configurations.diff(CONFIGURATION_ID)
    assert found.patch == ({"op": "replace", "path": "/config/pool_size", "value": 20},)
    assert [difference.kind for difference in found.changes] == ["changed", "removed", "added"]
    assert repr(found) == (
        "version 2 → version 3\n~ /config/pool_size: 10 → 20\n- /comments: 'c'\n+ /schema: {'a': 1}"
    )


@pytest.mark.parametrize(
    ("side", "shown"),
    [
        (DiffSide(3, None), "version 3"),
        (DiffSide(3, "prod"), "version 3 in 'prod'"),
        (DiffSide(None, "prod"), "no version in 'prod'"),
    ],
)
def test_a_side_says_what_it_is(side: DiffSide, shown: str) -> None:
    assert str(side) == shown


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({"from_": 1, "to": 2}, {"from": "1", "to": "2"}),
        ({"from_environment": "prod"}, {"from_environment": "prod"}),
        ({"from_": 1, "to_environment": "prod"}, {"from": "1", "to_environment": "prod"}),
        ({"environment": "prod"}, {"environment": "prod"}),
    ],
)
def test_what_is_compared_can_be_chosen(
    client: ConfigClient,
    mock: responses.RequestsMock,
    arguments: dict[str, Any],
    query: dict[str, str],
) -> None:
    mock.get(f"{URL}/diff", json=DIFF, match=[matchers.query_param_matcher(query)])
    client.configurations.diff(CONFIGURATION_ID, **arguments)


def test_a_document_is_compared_without_being_written(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.post(f"{URL}/diff", json={**DIFF, "to": {"version": None, "environment": "prod"}})
    document = {"name": "database", "config": {"pool_size": 20}}
    found = client.configurations.diff(CONFIGURATION_ID, 2, environment="prod", document=document)
    assert sent(mock) == {"from": 2, "environment": "prod", "document": document}
    assert found.to == DiffSide(None, "prod")


def test_a_document_is_compared_with_a_version_only(client: ConfigClient) -> None:
    with pytest.raises(ValueError, match="no more than from_"):
        client.configurations.diff(CONFIGURATION_ID, to=3, document={})


def test_a_diff_that_breaks_the_contract_is_a_server_error(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{URL}/diff", json={**DIFF, "from": {"version": "2", "environment": None}})
    with pytest.raises(ServerError, match="is no integer"):
        client.configurations.diff(CONFIGURATION_ID)


def test_rollback_sends_the_version_that_was_read(
    client: ConfigClient, mock: responses.RequestsMock, configuration: Configuration
) -> None:
    mock.post(f"{URL}/rollback", json={**CONFIGURATION, "version": 4})
    assert client.configurations.rollback(configuration, 1, message="why").version == 4
    assert sent(mock) == {"version": 1, "message": "why"}
    assert header(mock, "If-Match") == '"3"'


def test_rollback_by_id_sends_no_etag(client: ConfigClient, mock: responses.RequestsMock) -> None:
    mock.post(f"{URL}/rollback", json=CONFIGURATION)
    client.configurations.rollback(CONFIGURATION_ID, 1)
    assert header(mock, "If-Match") is None


def test_a_conflicting_rollback_tells_both_versions(
    client: ConfigClient, mock: responses.RequestsMock, configuration: Configuration
) -> None:
    mock.post(f"{URL}/rollback", status=412, json={"current_version": 5})
    with pytest.raises(ConflictError) as caught:
        client.configurations.rollback(configuration, 1)
    assert (caught.value.read_version, caught.value.current_version) == (3, 5)


@pytest.mark.parametrize(("version", "body"), [(None, {}), (2, {"version": 2})])
def test_a_deleted_configuration_is_restored(
    client: ConfigClient,
    mock: responses.RequestsMock,
    version: int | None,
    body: dict[str, int],
) -> None:
    mock.post(f"{URL}/restore", json=CONFIGURATION)
    assert client.configurations.restore(CONFIGURATION_ID, version=version).name == "database"
    assert sent(mock) == body


def test_a_document_is_validated_for_a_name_that_is_looked_up(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{BASE}/applications/billing", json=APPLICATION)
    answer = {"valid": True, "environments": {"default": {"n": 1}, "prod": {"n": 2}}}
    mock.post(f"{BASE}/configurations/validate", json=answer)
    found = client.configurations.validate(
        "billing", name="limits", config={"n": 1}, overlays={"prod": {"n": 2}}
    )
    assert found.environments["prod"] == {"n": 2}
    assert repr(found) == "<Validation: valid in 'default', 'prod'>"
    assert sent(mock) == {
        "application_id": APPLICATION_ID,
        "name": "limits",
        "comments": None,
        "config": {"n": 1},
        "overlays": {"prod": {"n": 2}},
    }


def test_a_new_content_is_validated_without_looking_up_an_id(
    client: ConfigClient, mock: responses.RequestsMock, configuration: Configuration
) -> None:
    mock.post(f"{BASE}/configurations/validate", json={"valid": True, "environments": {}})
    client.configurations.validate(
        APPLICATION_ID, name="n", config={}, schema={}, configuration=configuration
    )
    assert (sent(mock)["id"], sent(mock)["schema"]) == (CONFIGURATION_ID, {})


def test_what_breaks_the_schema_is_told_with_its_rule_and_its_environment(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    problem = {
        "pointer": "/config/n",
        "in": "body",
        "message": "must be an integer",
        "schema_pointer": "/properties/n/type",
        "environments": ["prod"],
    }
    url = f"{BASE}/configurations/validate"
    mock.post(url, status=422, json={"detail": "no", "errors": [problem]})
    with pytest.raises(ValidationError) as caught:
        client.configurations.validate(APPLICATION_ID, name="n", config={"n": "x"})
    (found,) = caught.value.errors
    assert (found.schema_pointer, found.environments) == ("/properties/n/type", ("prod",))
    assert repr(found) == (
        "FieldProblem(pointer='/config/n', message='must be an integer', location='body',"
        " schema_pointer='/properties/n/type', environments=('prod',))"
    )


def test_an_unknown_revision_is_not_found(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(f"{URL}/revisions/9", status=404, json={"detail": "There is no revision '9'."})
    with pytest.raises(NotFoundError, match="'9'"):
        client.configurations.revision(CONFIGURATION_ID, 9)


BY_NAME = f"{BASE}/applications/billing/configurations"


@pytest.mark.parametrize(
    ("call", "method", "path", "body"),
    [
        (
            lambda configurations: configurations.update("billing", "database", config={"n": 1}),
            "PATCH",
            "",
            {"config": {"n": 1}},
        ),
        (
            lambda configurations: configurations.replace("billing", "database", config={"n": 1}),
            "PUT",
            "",
            {"name": "database", "comments": None, "config": {"n": 1}},
        ),
        (
            lambda configurations: configurations.replace(
                "billing", "database", name="db", config={}
            ),
            "PUT",
            "",
            {"name": "db", "comments": None, "config": {}},
        ),
        (lambda configurations: configurations.delete("billing", "database"), "DELETE", "", None),
        (
            lambda configurations: configurations.rollback("billing", "database", 1),
            "POST",
            "/rollback",
            {"version": 1},
        ),
        (
            lambda configurations: configurations.rollback("billing", "database", version=1),
            "POST",
            "/rollback",
            {"version": 1},
        ),
    ],
    ids=["update", "replace", "replace and rename", "delete", "rollback", "rollback by keyword"],
)
def test_a_write_by_application_and_name_goes_to_its_id_whatever_its_version(
    client: ConfigClient, mock: responses.RequestsMock, call: Any, method: str, path: str, body: Any
) -> None:
    query = matchers.query_param_matcher({"name": "database", "limit": "1"})
    mock.get(BY_NAME, json=page(CONFIGURATION), match=[query])
    mock.add(method, f"{URL}{path}", json=CONFIGURATION)
    call(client.configurations)
    assert sent(mock) == body
    assert header(mock, "If-Match") is None


def test_a_write_by_application_and_name_can_be_based_on_a_version(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(BY_NAME, json=page(CONFIGURATION))
    mock.patch(URL, json=CONFIGURATION)
    client.configurations.update("billing", "database", config={}, version=7)
    assert header(mock, "If-Match") == '"7"'


@pytest.mark.parametrize(
    ("call", "path", "query"),
    [
        (lambda them: next(them.history("billing", "database")), "/revisions", {"limit": "200"}),
        (lambda them: them.revision("billing", "database", 3), "/revisions/3", {}),
        (lambda them: them.revision(CONFIGURATION_ID, version=3), "/revisions/3", {}),
        (lambda them: them.revision(configuration=CONFIGURATION_ID, version=3), "/revisions/3", {}),
        (lambda them: them.diff("billing", "database"), "/diff", {}),
        (lambda them: them.diff("billing", "database", 1, 2), "/diff", {"from": "1", "to": "2"}),
        (lambda them: them.diff(CONFIGURATION_ID, 1, to=2), "/diff", {"from": "1", "to": "2"}),
        (lambda them: them.diff(CONFIGURATION_ID, None, 2), "/diff", {"to": "2"}),
        (
            lambda them: them.diff(application="billing", configuration="database", to=2),
            "/diff",
            {"to": "2"},
        ),
    ],
)
def test_versions_are_read_by_id_or_by_application_and_name(
    client: ConfigClient, call: Any, path: str, query: dict[str, str]
) -> None:
    answers = {"/revisions": page(REVISION), "/revisions/3": REVISION, "/diff": DIFF}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(BY_NAME, json=page(CONFIGURATION))
        mock.get(f"{URL}{path}", json=answers[path], match=[matchers.query_param_matcher(query)])
        call(client.configurations)
        assert mock.calls[-1].request.path_url.partition("?")[0].endswith(path)


def test_a_name_that_is_not_there_is_not_found(
    client: ConfigClient, mock: responses.RequestsMock
) -> None:
    mock.get(BY_NAME, json=page())
    with pytest.raises(NotFoundError, match="'database' in 'billing'"):
        client.configurations.update("billing", "database", config={})


@pytest.mark.parametrize(
    "target",
    [(), (1,), ("a", "b", "c"), ("a", 1, "b"), ("a", "b", 1, 2)],
    ids=repr,
)
def test_a_call_that_is_about_nothing_or_too_much_is_a_type_error(
    client: ConfigClient, target: tuple[Any, ...]
) -> None:
    with pytest.raises(TypeError, match=r"Give a configuration|comes after|too many"):
        client.configurations.rollback(*target)


def test_a_replacement_by_id_needs_a_name(client: ConfigClient) -> None:
    with pytest.raises(TypeError, match="name"):
        client.configurations.replace(CONFIGURATION_ID, config={})  # type: ignore[call-overload]
