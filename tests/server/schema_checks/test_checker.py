"""Schema checker: results, hostile schemas, and the life of its processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from configsvc_server.domain.errors import SchemaTooCostlyError, UnavailableError
from configsvc_server.domain.schema.validator import SchemaValidator, schema_violations
from configsvc_server.domain.strict_json import MAX_DEPTH
from configsvc_server.schema_checks import checker as schema_checker
from configsvc_server.schema_checks.checker import SchemaChecker
from configsvc_server.schema_checks.process import SchemaProcess
from configsvc_server.schema_checks.worker import Reply, Request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes can't be selected on")

Json = dict[str, Any]

PLAIN: Json = {"properties": {"port": {"type": "integer", "minimum": 1}}}
NOT_CHEAP: Json = {"properties": {"name": {"pattern": "^[a-z]+$"}}}
CATASTROPHIC: Json = {"pattern": "^(a+)+$"}
CATASTROPHIC_VALUE = "a" * 60 + "!"

TIMEOUT = 0.3
"""In seconds: what is refused by it would take minutes, what is not takes milliseconds."""


@pytest.fixture(scope="module")
def checker() -> Iterator[SchemaChecker]:
    with SchemaChecker(timeout=TIMEOUT, workers=1) as checker:
        yield checker


@pytest.fixture
def own() -> Iterator[SchemaChecker]:
    with SchemaChecker(timeout=TIMEOUT) as checker:
        yield checker


def processes() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() == psutil.STATUS_ZOMBIE
        or "schema_checks.worker" in " ".join(child.cmdline())
    ]


def started_by(check: Callable[[], object]) -> list[psutil.Process]:
    before = processes()
    check()
    return [process for process in processes() if process not in before]


def assert_is_refused(check: Callable[[], object]) -> None:
    start = time.monotonic()

    with pytest.raises(SchemaTooCostlyError, match=f"takes more than {TIMEOUT} seconds or"):
        check()

    assert time.monotonic() - start < 10


class TestResults:
    @pytest.mark.parametrize("schema", [PLAIN, NOT_CHEAP, {"pattern": "("}, {"type": "strnig"}])
    def test_about_schemas_are_those_of_the_domain(
        self, checker: SchemaChecker, schema: Json
    ) -> None:
        assert checker.check_schema(schema) == schema_violations(schema)

    @pytest.mark.parametrize("schema", [PLAIN, NOT_CHEAP])
    def test_about_values_are_those_of_the_domain_for_each(
        self, checker: SchemaChecker, schema: Json
    ) -> None:
        values: list[Json] = [
            {"port": 1, "name": "a"},
            {"port": 0, "name": "A"},
            {"port": True, "name": "é"},
        ]

        expected = [SchemaValidator(schema).violations(value) for value in values]

        assert checker.check_values(schema, values) == expected

    def test_about_no_values_are_none(self, checker: SchemaChecker) -> None:
        assert checker.check_values(CATASTROPHIC, []) == []

    def test_distinguish_integers_from_floats(self, checker: SchemaChecker) -> None:
        schema: Json = {"$defs": {"n": {"const": 2**63 - 1}}, "$ref": "#/$defs/n"}

        assert checker.check_values(schema, [2**63 - 1]) == [[]]
        [[violation]] = checker.check_values(schema, [2**63 - 2])
        assert violation.message == f"must be {2**63 - 1}"

    def test_are_right_for_the_deepest_document_of_a_schema_within_itself(
        self, checker: SchemaChecker
    ) -> None:
        schema: Json = {
            "properties": {
                "value": {"type": "integer"},
                "more": {"items": {"anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#"}]}]}},
            }
        }
        value: Json = {"value": "x"}
        for _ in range(MAX_DEPTH // 2 - 1):
            value = {"value": 1, "more": [value]}

        [[violation]] = checker.check_values(schema, [value])

        assert len(violation.path) == MAX_DEPTH - 1
        assert violation.message == "must be an integer, not a string"

    def test_are_right_for_many_threads(self, own: SchemaChecker) -> None:
        def check(number: int) -> bool:
            name = "ab"[number % 2] * 10_000 + "." * (number % 3)
            [found] = own.check_values(NOT_CHEAP, [{"name": name}])
            return bool(found) == bool(number % 3)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(check, range(100)))


def doubling(keyword: str, levels: int = 60) -> Json:
    return {
        "$ref": "#/$defs/a0",
        "$defs": {
            **{f"a{i}": {keyword: [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(levels)},
            f"a{levels}": {"const": 1},
        },
    }


@pytest.mark.slow
class TestHostile:
    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            pytest.param(CATASTROPHIC, CATASTROPHIC_VALUE, id="catastrophic expression"),
            pytest.param(doubling("allOf"), 1, id="doubling allOf"),
            pytest.param(doubling("anyOf"), 2, id="doubling anyOf"),
            pytest.param(
                {"uniqueItems": True},
                [{"a": i} if i % 2 else [i] for i in range(30_000)],
                id="mixed unique items",
            ),
            pytest.param(
                {"patternProperties": {f"^(a|a)*{i}$": {} for i in range(100)}},
                {"a" * 40 + "!": 1},
                id="expressions for names",
            ),
            pytest.param(
                {"pattern": "(((x{0,999}){0,999}){0,999}){0,999}y"}, "x" * 100, id="repetition"
            ),
            pytest.param(
                {
                    "$ref": "#/$defs/a0",
                    "$defs": {
                        **{f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(5000)},
                        "a5000": {},
                    },
                },
                1,
                id="chain of references",
            ),
        ],
    )
    def test_schemas_take_no_longer_than_they_may(
        self, checker: SchemaChecker, schema: Json, value: Any
    ) -> None:
        assert_is_refused(lambda: checker.check_values(schema, [value]))

        assert checker.check_values(NOT_CHEAP, [{"name": "a"}]) == [[]]

    @pytest.mark.skipif(sys.platform != "linux", reason="memory has no limit elsewhere")
    def test_schemas_take_no_more_memory_than_they_may(self) -> None:
        schema: Json = {"anyOf": [{"maxLength": 1}] * 2000}

        with (
            SchemaChecker(timeout=60) as checker,
            pytest.raises(SchemaTooCostlyError, match="too much memory"),
        ):
            checker.check_values(schema, ["x" * 1_000_000])

    @pytest.mark.parametrize(
        "schema",
        [
            pytest.param({"pattern": "(?i)" + "[\x01-\U0010ffff]" * 50_000}, id="character sets"),
            pytest.param(
                {
                    "$id": f"http://x/{'a' * 300_000}/",
                    "$defs": {f"k{i}": {"$id": f"b{i}"} for i in range(20_000)},
                },
                id="long identifiers",
            ),
        ],
    )
    def test_schemas_take_no_longer_to_be_checked_themselves(
        self, checker: SchemaChecker, schema: Json
    ) -> None:
        assert_is_refused(lambda: checker.check_schema(schema))

        assert checker.check_schema(NOT_CHEAP) == []

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            pytest.param(
                {
                    "properties": {
                        f"k{i}": {"type": "string", "minLength": 1} for i in range(20_000)
                    }
                },
                {f"k{i}": "" for i in range(20_000)},
                id="wide",
            ),
            pytest.param({"enum": [f"value {i}" for i in range(60_000)]}, "x", id="enum"),
            pytest.param({"pattern": "|".join(map(str, range(100_000)))}, "x", id="expression"),
            pytest.param({"pattern": "(" * 5000 + ")" * 5000}, "x", id="groups"),
            pytest.param({"description": "x" * 1_000_000}, "x", id="text"),
        ],
    )
    def test_enormous_schemas_are_checked_or_refused(
        self, checker: SchemaChecker, schema: Json, value: Any
    ) -> None:
        start = time.monotonic()

        for check in (
            lambda: checker.check_schema(schema),
            lambda: checker.check_values(schema, [value]),
        ):
            try:
                check()
            except SchemaTooCostlyError:
                continue

        assert time.monotonic() - start < 10

    def test_schemas_as_deep_as_documents_may_be_are_checked(self, checker: SchemaChecker) -> None:
        schema: Json = {"type": "object", "pattern": "a"}
        for _ in range(MAX_DEPTH - 2):
            schema = {"not": schema}

        assert checker.check_schema(schema) == []
        assert checker.check_values(schema, [{}]) == [[]]


@pytest.mark.slow
class TestProcesses:
    def test_are_not_used_for_what_is_cheap(
        self, own: SchemaChecker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(schema_checker, "SchemaProcess")

        assert own.check_schema(PLAIN) == []
        assert own.check_values(PLAIN, [{"port": 1}]) == [[]]

    def test_run_after_everything_else_of_the_server(self, own: SchemaChecker) -> None:
        [process] = started_by(lambda: own.check_schema(NOT_CHEAP))

        assert process.nice() == min(psutil.Process().nice() + 10, 19)

    def test_are_used_again(self, own: SchemaChecker) -> None:
        assert len(started_by(lambda: own.check_schema(NOT_CHEAP))) == 1
        assert started_by(lambda: own.check_schema(NOT_CHEAP)) == []

    def test_that_took_too_long_are_killed_and_replaced(self, own: SchemaChecker) -> None:
        [first] = started_by(lambda: own.check_schema(NOT_CHEAP))
        with pytest.raises(SchemaTooCostlyError):
            own.check_values(CATASTROPHIC, [CATASTROPHIC_VALUE])

        assert not first.is_running()
        [second] = started_by(lambda: own.check_schema(NOT_CHEAP))
        assert second.pid != first.pid

    def test_that_have_grown_large_are_replaced(
        self, own: SchemaChecker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        call = SchemaProcess.call

        def grown(process: SchemaProcess, request: Request) -> Reply:
            return {**call(process, request), "is_last": True}

        monkeypatch.setattr(SchemaProcess, "call", grown)

        assert own.check_schema(NOT_CHEAP) == []
        assert len(started_by(lambda: own.check_schema({"pattern": "("}))) == 0
        monkeypatch.undo()
        assert len(started_by(lambda: own.check_schema(NOT_CHEAP))) == 1

    def test_that_died_meanwhile_are_replaced(self, own: SchemaChecker) -> None:
        [process] = started_by(lambda: own.check_schema(NOT_CHEAP))
        process.kill()
        # Waits, but leaves the exit status to its owner.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert own.check_schema(NOT_CHEAP) == []

    def test_that_do_not_read_do_not_block_a_large_request(self, own: SchemaChecker) -> None:
        [process] = started_by(lambda: own.check_schema(NOT_CHEAP))
        process.suspend()

        assert_is_refused(lambda: own.check_values(NOT_CHEAP, ["x" * 5_000_000]))
        assert not process.is_running()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_outlive_the_signals_that_stop_a_service(
        self, own: SchemaChecker, number: signal.Signals
    ) -> None:
        [process] = started_by(lambda: own.check_schema(NOT_CHEAP))
        process.send_signal(number)

        assert started_by(lambda: own.check_schema(NOT_CHEAP)) == []

    def test_end_when_the_checker_is_closed_and_leave_nothing_open(self) -> None:
        me = psutil.Process()
        descriptors, others = me.num_fds(), processes()
        checker = SchemaChecker(timeout=TIMEOUT)
        [process] = started_by(lambda: checker.check_schema(NOT_CHEAP))
        with pytest.raises(SchemaTooCostlyError):
            checker.check_values(CATASTROPHIC, [CATASTROPHIC_VALUE])
        checker.check_schema(NOT_CHEAP)

        checker.close()
        checker.close()

        assert not process.is_running()
        assert processes() == others
        assert me.num_fds() == descriptors

    def test_that_are_checking_end_when_the_checker_is_closed(self) -> None:
        checker = SchemaChecker(timeout=60)
        [process] = started_by(lambda: checker.check_schema(NOT_CHEAP))
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(checker.check_values, CATASTROPHIC, [CATASTROPHIC_VALUE])
            busy = process.cpu_times().user + 0.05
            while process.cpu_times().user < busy:
                pass

            checker.close()

            with pytest.raises(UnavailableError, match="stopping"):
                result.result(10)

    def test_are_not_started_by_a_closed_checker(self) -> None:
        checker = SchemaChecker()
        checker.close()

        with pytest.raises(UnavailableError):
            checker.check_schema(NOT_CHEAP)
        assert checker.check_schema(PLAIN) == []

    @pytest.mark.parametrize("program", ["/nonexistent/python", "/bin/false", "/bin/true"])
    def test_that_cannot_be_started_are_unavailable(
        self, own: SchemaChecker, monkeypatch: pytest.MonkeyPatch, program: str
    ) -> None:
        monkeypatch.setattr(sys, "executable", program)

        with pytest.raises(UnavailableError) as caught:
            own.check_schema(NOT_CHEAP)

        assert caught.value.retry_after == 1

    def test_are_waited_for_only_so_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SchemaChecker, "ACQUIRE_TIMEOUT", 0.05)
        called, released = threading.Event(), threading.Event()
        call = SchemaProcess.call

        def slow(process: SchemaProcess, request: Request) -> Reply:
            called.set()
            released.wait(10)
            return call(process, request)

        monkeypatch.setattr(SchemaProcess, "call", slow)
        with SchemaChecker(workers=1) as checker, ThreadPoolExecutor(1) as pool:
            first = pool.submit(checker.check_schema, NOT_CHEAP)
            assert called.wait(10)

            with pytest.raises(UnavailableError) as caught:
                checker.check_schema(NOT_CHEAP)

            released.set()
            assert first.result(10) == []
        assert caught.value.retry_after == 1

    def test_that_are_waited_for_when_the_checker_is_closed_are_unavailable(self) -> None:
        checker = SchemaChecker(timeout=60, workers=1)
        with ThreadPoolExecutor(2) as pool:
            results = [
                pool.submit(checker.check_values, CATASTROPHIC, [CATASTROPHIC_VALUE])
                for _ in range(2)
            ]
            while checker.waiting == 0:
                threading.Event().wait(0.001)

            checker.close()

            for result in results:
                with pytest.raises(UnavailableError, match="stopping"):
                    result.result(10)

    @pytest.mark.parametrize("schema", ["NOT_CHEAP", "CATASTROPHIC"])
    def test_end_when_their_parent_is_killed(self, schema: str) -> None:
        script = f"""
from tests.server.schema_checks.test_checker import *
with SchemaChecker(timeout=TIMEOUT) as checker:
    checker.check_schema(NOT_CHEAP)
    print("ready", flush=True)
    while True:
        try:
            checker.check_values({schema}, [CATASTROPHIC_VALUE])
        except SchemaTooCostlyError:
            pass
"""
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", script], stdout=pipe, stderr=pipe) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"ready\n"

            parent.kill()

            # Its processes have the same standard error, which ends with the last of them.
            assert parent.communicate(timeout=10) == (b"", b"")
