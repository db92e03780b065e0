"""Bodies that are refused, each with its status and its place."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import falcon
import pytest
from falcon.testing import Result, TestClient, create_environ

from configsvc_server.domain.errors import UnavailableError
from configsvc_server.domain.strict_json import JsonObject, JsonValue
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.validation import Validator
from tests.server.http.support import problem

PATH = "/api/v1/applications"
NESTED = "/api/v1/applications/billing/configurations"
JSON = {"Content-Type": "application/json"}


def post(api: TestClient, config: str, headers: dict[str, str] = JSON) -> Result:
    body = '{"name": "a", "config": ' + config + "}"
    return api.simulate_post(NESTED, body=body.encode(), headers=headers)


@pytest.mark.parametrize(
    ("config", "status", "pointer"),
    [
        ('{"a": 1, "a": 2}', 400, "/config/a"),
        ('{"a": NaN}', 400, "/config/a"),
        ('{"a": [Infinity]}', 400, "/config/a/0"),
        ('{"a": -Infinity}', 400, "/config/a"),
        ('{"a": }', 400, ""),
        ('{"a": "\\ud800"}', 422, "/config/a"),
        ('{"a": "\\u0000"}', 422, "/config/a"),
        ('{"a\\u0000": 1}', 422, "/config"),
        ('{"a": 9223372036854775808}', 422, "/config/a"),
        ('{"a": 1e400}', 422, "/config/a"),
        pytest.param("[" * 200_000 + "]" * 200_000, 422, "", id="bottomless"),
        ('{"a":' * 64 + "1" + "}" * 64, 422, "/config" + "/a" * 63),
        ("[]", 422, "/config"),
    ],
)
def test_a_value_that_cannot_be_kept_is_refused_with_its_place(
    api: TestClient, billing: dict[str, Any], config: str, status: int, pointer: str
) -> None:
    problem(post(api, config), status, pointer)

    assert api.simulate_get(NESTED).json["total"] == 0


def test_the_greatest_depth_is_stored(api: TestClient, billing: dict[str, Any]) -> None:
    assert post(api, '{"a":' * 63 + "1" + "}" * 63).status_code == 201


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"true"])
def test_a_body_that_is_no_object_is_refused(api: TestClient, body: bytes) -> None:
    document = problem(api.simulate_post(PATH, body=body, headers=JSON), 422, "")

    assert "must be a JSON object" in document["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"name": "\xff"}', b"\x00", b"{}{}"])
def test_a_body_that_is_no_json_is_refused(api: TestClient, body: bytes) -> None:
    document = problem(api.simulate_post(PATH, body=body, headers=JSON), 400, "")

    assert document["type"] == "urn:configsvc:problem:malformed-json"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
        "application/json; charset=latin-1",
        "json",
        "",
    ],
)
def test_another_content_type_is_refused(api: TestClient, content_type: str) -> None:
    result = api.simulate_post(PATH, body=b"{}", headers={"Content-Type": content_type})

    document = problem(result, 415, "/content-type")
    assert "application/json" in document["detail"]


def test_no_content_type_is_refused(api: TestClient) -> None:
    problem(api.simulate_post(PATH, body=b"{}"), 415, "/content-type")


def test_a_compressed_body_is_refused(api: TestClient) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}

    problem(api.simulate_post(PATH, body=b"{}", headers=headers), 415, "/content-encoding")


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "Application/JSON"])
def test_other_spellings_of_the_content_type_are_accepted(
    api: TestClient, content_type: str
) -> None:
    headers = {"Content-Type": content_type}

    assert api.simulate_post(PATH, body=b'{"name": "a"}', headers=headers).status_code == 201


def test_a_body_over_the_limit_is_refused(api: TestClient, billing: dict[str, Any]) -> None:
    document = problem(post(api, '{"a": "' + "x" * 1024 * 1024 + '"}'), 413, "")

    assert document["limit"] == 1024 * 1024


def test_a_body_of_just_the_limit_is_accepted(api: TestClient, billing: dict[str, Any]) -> None:
    frame = len('{"name": "a", "config": {"a": ""}}')

    assert post(api, '{"a": "' + "x" * (1024 * 1024 - frame) + '"}').status_code == 201


class Held(Validator):
    """A validator of long breath: it takes until it is told to go on."""

    def __init__(self) -> None:
        super().__init__({"components": {"schemas": {"Any": True}}})
        self.reached = threading.Semaphore(0)
        self.released = threading.Event()

    def check(self, document: JsonValue, schema: str) -> None:
        self.reached.release()
        assert self.released.wait(60)


class TestLargeBodies:
    @pytest.fixture
    def pool(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(20) as pool:
            yield pool

    @pytest.fixture
    def held(self) -> Iterator[Held]:
        held = Held()
        yield held
        held.released.set()

    @pytest.fixture
    def bodies(self, held: Held) -> BodyReader:
        return BodyReader(held, 1024 * 1024)

    @staticmethod
    def read(bodies: BodyReader, size: int, caller: str = "192.0.2.1") -> JsonObject:
        environ = create_environ(
            method="POST",
            headers=JSON,
            body=f'{{"text": "{"x" * size}"}}',
            remote_addr=caller,
        )
        return bodies.read(falcon.Request(environ), "Any")

    def test_are_parsed_one_at_a_time_for_each_caller(
        self, pool: ThreadPoolExecutor, held: Held, bodies: BodyReader
    ) -> None:
        first = pool.submit(self.read, bodies, bodies.LARGE)
        assert held.reached.acquire(timeout=10)
        second = pool.submit(self.read, bodies, bodies.LARGE)
        while bodies.waiting == 0:
            threading.Event().wait(0.001)
        other = pool.submit(self.read, bodies, bodies.LARGE, "192.0.2.2")
        assert held.reached.acquire(timeout=10)

        assert bodies.waiting == 1
        held.released.set()

        for result in (first, second, other):
            assert len(str(result.result(10)["text"])) == bodies.LARGE

    def test_are_refused_where_too_many_wait(
        self, pool: ThreadPoolExecutor, held: Held, bodies: BodyReader
    ) -> None:
        results = [
            pool.submit(self.read, bodies, bodies.LARGE) for _ in range(bodies.MAX_WAITING + 2)
        ]

        refused = next(as_completed(results, timeout=10))

        with pytest.raises(UnavailableError, match="Too many large bodies"):
            refused.result()
        assert sum(result.done() for result in results) == 1

    def test_do_not_hold_back_small_ones(
        self, pool: ThreadPoolExecutor, held: Held, bodies: BodyReader
    ) -> None:
        for _ in range(bodies.MAX_WAITING + 1):
            pool.submit(self.read, bodies, bodies.LARGE)
        assert held.reached.acquire(timeout=10)

        small = pool.submit(self.read, bodies, 10)

        assert held.reached.acquire(timeout=10)
        held.released.set()
        assert small.result(10) == {"text": "x" * 10}
