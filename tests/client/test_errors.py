"""From responses to errors."""

import copy
import json
import pickle
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from configsvc_client import (
    AuthError,
    BindError,
    ClosedError,
    ConfigSvcError,
    ConflictError,
    FieldProblem,
    MissingRole,
    NotFoundError,
    NotReadyError,
    ServerError,
    TransportError,
    ValidationError,
)
from configsvc_client._http.types import Request, Response, require_ok


def response(status: int, body: Any = None, *, retried: bool = False, **headers: str) -> Response:
    return Response(
        Request("GET", "/api/v1/applications"),
        status,
        CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()}),
        b"" if body is None else json.dumps(body).encode(),
        "request-1",
        retried,
    )


def error_of(*arguments: Any, **options: Any) -> Any:
    with pytest.raises(ConfigSvcError) as caught:
        require_ok(response(*arguments, **options))
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationError),
        (401, AuthError),
        (403, AuthError),
        (404, NotFoundError),
        (405, ValidationError),
        (408, ServerError),
        (409, ConflictError),
        (410, NotFoundError),
        (412, ConflictError),
        (413, ValidationError),
        (415, ValidationError),
        (422, ValidationError),
        (428, ConflictError),
        (429, ServerError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
def test_each_status_has_its_class(status: int, kind: type[ConfigSvcError]) -> None:
    assert type(error_of(status)) is kind


@pytest.mark.parametrize("status", [200, 201, 204, 304])
def test_what_is_no_error_is_returned(status: int) -> None:
    given = response(status)
    assert require_ok(given) is given


def test_an_error_says_what_was_asked_and_what_was_answered() -> None:
    error = error_of(404, {"detail": "There is no application 'x'."})
    expected = "GET /api/v1/applications → 404: There is no application 'x'. (request request-1)"
    assert str(error) == expected
    assert (error.method, error.path, error.status) == ("GET", "/api/v1/applications", 404)
    assert error.request_id == "request-1"
    assert error.problem == {"detail": "There is no application 'x'."}


@pytest.mark.parametrize("body", [None, [], "text", {"errors": "none"}, {"errors": [1]}])
def test_a_body_that_is_no_problem_document_does_no_harm(body: object) -> None:
    error = error_of(422, body)
    assert str(error).startswith("GET /api/v1/applications → 422: Unprocessable")
    assert error.errors == ()


def test_an_unknown_status_is_named_so() -> None:
    assert "an unknown status" in str(error_of(599))


def test_a_validation_error_has_the_pointers() -> None:
    problem = {"pointer": "/name", "in": "body", "message": "must be a string"}
    assert error_of(422, {"errors": [problem]}).errors == (
        FieldProblem("/name", "must be a string"),
    )


def test_a_conflict_has_the_current_version() -> None:
    error = error_of(412, {"current_version": 7, "current_etag": '"7"'})
    assert (error.current_version, error.current_etag) == (7, '"7"')


def test_a_server_error_has_the_time_to_wait() -> None:
    assert error_of(503, Retry_After="7").retry_after == 7


@pytest.mark.parametrize("code", [401, 403, 429])
def test_a_refusal_has_the_time_to_wait(code: int) -> None:
    assert error_of(code, Retry_After="7").retry_after == 7


MISSING = {"role": "releaser", "application_id": "01", "application": "shop", "environment": "prod"}
ANYWHERE = {"application_id": None, "application": None, "environment": None}


@pytest.mark.parametrize(
    ("missing", "where"),
    [
        (MISSING, "releaser on shop/prod"),
        ({**MISSING, "environment": None}, "releaser on shop"),
        ({**MISSING, "application": None, "environment": None}, "releaser on 01"),
        ({**ANYWHERE, "role": "editor"}, "editor on everything"),
    ],
)
def test_an_auth_error_tells_the_role_that_is_missing_and_where(
    missing: dict[str, Any], where: str
) -> None:
    error = error_of(403, {"detail": "You may not release here.", "missing": missing})
    expected = f"403: You may not release here. (It needs the role {where}.) (request request-1)"
    assert str(error).endswith(expected)
    assert error.missing == MissingRole(**missing)
    assert str(error.missing) == where


@pytest.mark.parametrize("missing", [None, "admin", [], {}, {"role": 7}, {"application": "shop"}])
def test_an_auth_error_without_a_role_has_none(missing: object) -> None:
    error = error_of(403, {"missing": missing})
    assert error.missing is None
    assert str(error).endswith("403: Forbidden (request request-1)")


@pytest.mark.parametrize("code", [300, 301, 302, 303, 305, 307, 308])
def test_a_redirect_is_no_success(code: int) -> None:
    error = error_of(code)
    assert type(error) is ServerError
    assert error.status == code


def test_a_repeated_request_is_confessed() -> None:
    assert "more than once" in str(error_of(412, retried=True))


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"", b"[]", b"[" * 100_000])
def test_a_body_that_is_no_object_is_a_server_error(body: bytes) -> None:
    broken = Response(Request("GET", "/x"), 200, {}, body, "request-1")
    with pytest.raises(ServerError, match=r"Is this a configsvc server\?"):
        broken.json()


def test_errors_survive_pickling() -> None:
    error = error_of(412, {"current_version": 7})
    error.read_version = 6
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is ConflictError
    assert str(found) == str(error)
    assert (found.read_version, found.current_version, found.request_id) == (6, 7, "request-1")


def errors_of_every_kind() -> list[ConfigSvcError]:
    problem = {"pointer": "/name", "in": "body", "message": "must be a string"}
    answered = [
        error_of(401, {"detail": "Who?"}),
        error_of(403, {"missing": MISSING}, Retry_After="7"),
        error_of(404),
        error_of(412, {"current_version": 7, "current_etag": '"7"'}),
        error_of(422, {"errors": [problem]}),
        error_of(503, Retry_After="7"),
    ]
    bind_error = BindError("It does not fit.")
    bind_error.errors = (FieldProblem("/host", "is missing"),)
    request: dict[str, Any] = {"method": "GET", "path": "/x", "request_id": "request-1"}
    return [
        *answered,
        bind_error,
        TransportError("away", **request),
        NotReadyError("not yet"),
        ClosedError("closed"),
        ConfigSvcError("else", **request),
    ]


@pytest.mark.parametrize("error", errors_of_every_kind(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("way", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_of_an_error_has_all_of_it(error: ConfigSvcError, way: Any) -> None:
    error.add_note("at noon")
    found = way(error)
    assert found is not error
    assert type(found) is type(error)
    assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error))
    assert found.__traceback__ is None


def test_a_copy_of_an_error_has_its_cause_and_no_traceback() -> None:
    cause = ConnectionRefusedError("refused")
    with pytest.raises(TransportError) as caught:
        raise TransportError("away") from cause
    found = copy.copy(caught.value)
    assert found.__cause__ is cause
    assert (found.__traceback__, found.__context__) == (None, None)
