"""``configsvc serve``, as an operator uses it."""

import json
import signal
import threading
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from tests.server.cli.support import run
from tests.support.postgres import wait_for_lock
from tests.support.servers import server_process, start_server_process


class TestServe:
    def test_it_says_where_it_answers_what_it_uses_and_how_to_try_it(
        self, tmp_path: Path, database_url: str
    ) -> None:
        with server_process("--database-url", database_url, cwd=tmp_path) as server:
            created = requests.post(
                f"{server.url}/api/v1/applications", json={"name": "billing"}, timeout=10
            )
            assert created.status_code == 201
            server.stop()
            banner = "\n".join(server.output)

        assert "PostgreSQL: test_" in banner
        assert "curl -X POST" in banner

    @pytest.mark.slow
    def test_the_embedded_database_keeps_its_data_and_stops_with_the_server(
        self, tmp_path: Path, data_dir: Path
    ) -> None:
        flags = ("--data-dir", str(data_dir))
        with server_process(*flags, cwd=tmp_path) as server:
            url = f"{server.url}/api/v1/applications"
            requests.post(url, json={"name": "billing"}, timeout=10)
            pid = int((data_dir / "postgres/postmaster.pid").read_text().split()[0])
            assert server.stop() == 0

        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
        assert not (data_dir / "postgres/postmaster.pid").exists()
        with server_process(*flags, cwd=tmp_path) as server:
            listed = requests.get(f"{server.url}/api/v1/applications", timeout=10).json()
            assert [item["name"] for item in listed["items"]] == ["billing"]

    @pytest.mark.slow
    def test_it_starts_again_after_it_was_killed(self, tmp_path: Path, data_dir: Path) -> None:
        flags = ("--data-dir", str(data_dir))
        killed = start_server_process(flags, cwd=tmp_path)
        requests.post(f"{killed.url}/api/v1/applications", json={"name": "a"}, timeout=10)
        killed.stop(signal.SIGKILL)

        with server_process(*flags, cwd=tmp_path) as server:
            assert requests.get(f"{server.url}/api/v1/applications/a", timeout=10).ok
            server.stop()

        assert not (data_dir / "postgres/postmaster.pid").exists()

    @pytest.mark.slow
    def test_two_servers_share_one_data_directory(self, tmp_path: Path, data_dir: Path) -> None:
        flags = ("--data-dir", str(data_dir))
        with (
            server_process(*flags, cwd=tmp_path) as first,
            server_process(*flags, cwd=tmp_path) as second,
        ):
            requests.post(f"{first.url}/api/v1/applications", json={"name": "a"}, timeout=10)
            first.stop()
            assert requests.get(f"{second.url}/api/v1/applications/a", timeout=10).ok

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_stop_finishes_running_requests(
        self, tmp_path: Path, database_url: str, number: int
    ) -> None:
        with server_process("--database-url", database_url, cwd=tmp_path) as server:
            answers: list[int] = []
            with psycopg.connect(database_url) as connection:
                connection.execute("LOCK TABLE applications")
                thread = threading.Thread(
                    target=lambda: answers.append(
                        requests.get(f"{server.url}/api/v1/applications", timeout=20).status_code
                    )
                )
                thread.start()
                wait_for_lock(database_url)
                server.process.send_signal(number)
            thread.join()

            assert answers == [200]
            assert server.process.wait(10) == 0

    @pytest.mark.slow
    def test_logs_are_json_lines_with_the_request(self, tmp_path: Path, database_url: str) -> None:
        with server_process("--database-url", database_url, cwd=tmp_path) as server:
            requests.get(
                f"{server.url}/api/v1/applications/x",
                headers={
                    "X-Request-ID": "me",
                    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                },
                timeout=10,
            )
            requests.get(f"{server.url}/health/live", timeout=10)
            server.stop()
            lines = [json.loads(line) for line in server.output if line.startswith("{")]

        [line] = [line for line in lines if line["event"] == "request"]
        assert line["request_id"] == "me"
        assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert line["method"] == "GET"
        assert line["route"] == "/api/v1/applications/{application}"
        assert line["status"] == 404
        assert line["duration_ms"] > 0

    @pytest.mark.slow
    def test_pending_migrations_are_applied_unless_told_not_to(
        self, tmp_path: Path, empty_database_url: str
    ) -> None:
        with server_process(
            "--database-url", empty_database_url, "--no-migrate", cwd=tmp_path
        ) as server:
            ready = requests.get(f"{server.url}/health/ready", timeout=10)
            assert ready.status_code == 503
            assert "pending" in ready.json()["checks"]["migrations"]["detail"]

        with server_process("--database-url", empty_database_url, cwd=tmp_path) as server:
            assert requests.get(f"{server.url}/health/ready", timeout=10).ok
            assert any(line.startswith("Applied 0001_") for line in server.output)

    @pytest.mark.slow
    def test_flags_win_over_the_environment_and_that_over_the_file(
        self, tmp_path: Path, database_url: str
    ) -> None:
        (tmp_path / ".env").write_text(
            f"CONFIGSVC_DATABASE_URL='{database_url}'\n"
            "CONFIGSVC_MAX_BODY_BYTES=2000\nCONFIGSVC_CORS_ORIGINS=https://file.example\n"
            "CONFIGSVC_THREADS=1\nOTHER=ignored\n"
        )
        variables = {
            "CONFIGSVC_MAX_BODY_BYTES": "3000",
            "CONFIGSVC_CORS_ORIGINS": "https://variable.example",
        }
        flags = ("--max-body-bytes", "4000")
        with server_process(*flags, cwd=tmp_path, variables=variables) as server:
            refused = requests.post(
                f"{server.url}/api/v1/applications",
                data=b" " * 4001,
                headers={
                    "Content-Type": "application/json",
                    "Origin": "https://variable.example",
                },
                timeout=10,
            )

        assert refused.json()["limit"] == 4000
        assert refused.headers["access-control-allow-origin"] == "https://variable.example"

    def test_browsers_reach_it_at_the_port_that_it_has_found(
        self, tmp_path: Path, database_url: str
    ) -> None:
        flags = ("--port", "0", "--auth", "required", "--database-url", database_url)
        with server_process(*flags, cwd=tmp_path) as server:
            port = server.url.rsplit(":", 1)[1]
            answer = requests.post(
                f"{server.url}/auth/token",
                data={"token": "configsvc_wrong"},
                headers={"Origin": f"http://localhost:{port}"},
                timeout=10,
            )

        # The form is taken for one of this server's pages; only the token is wrong.
        assert answer.status_code == 401

    def test_it_says_where_persons_sign_in(self, tmp_path: Path, database_url: str) -> None:
        flags = ("--database-url", database_url, "--public-url", "https://config.example.com/")

        banners = []
        for auth in ("off", "required"):
            with server_process("--auth", auth, *flags, cwd=tmp_path) as server:
                server.stop()
                banners.append("\n".join(server.output))

        assert "/auth/sign-in" not in banners[0]
        assert "https://config.example.com/auth/sign-in\n" in banners[1]

    def test_issuers_that_nobody_can_sign_in_at_are_warned_of(
        self, tmp_path: Path, database_url: str
    ) -> None:
        (tmp_path / "auth.toml").write_text("")
        flags = ("--auth-file", "auth.toml", "--database-url", database_url)

        banners = []
        for auth in ("off", "required"):
            with server_process("--auth", auth, *flags, cwd=tmp_path) as server:
                server.stop()
                banners.append("\n".join(server.output))

        assert "auth.toml IS NOT READ" in banners[0]
        assert "IS NOT READ" not in banners[1]


@pytest.mark.slow
class TestFailedStart:
    def test_a_database_that_cannot_be_reached_is_one_clear_line(self, tmp_path: Path) -> None:
        url = "postgresql://me:secret@127.0.0.1:1/nothing"

        result = run("serve", "--database-url", url, "--database-timeout", "1", cwd=tmp_path)

        assert result.returncode == 1
        [line] = [line for line in result.stderr.splitlines() if not line.startswith("{")]
        assert "nothing at 127.0.0.1:1 as me can't be reached" in line
        assert "secret" not in result.stderr

    def test_a_port_that_is_taken_is_one_clear_line(
        self, tmp_path: Path, database_url: str
    ) -> None:
        with server_process("--database-url", database_url, cwd=tmp_path) as server:
            port = server.url.rsplit(":", 1)[1]
            result = run("serve", "--database-url", database_url, "--port", port, cwd=tmp_path)

        assert result.returncode == 1
        assert f"port {port}" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_host_that_does_not_exist_is_one_clear_line(
        self, tmp_path: Path, database_url: str
    ) -> None:
        result = run(
            "serve", "--database-url", database_url, "--host", "nowhere.invalid", cwd=tmp_path
        )

        assert result.returncode == 1
        assert "nowhere.invalid" in result.stderr
        assert "Traceback" not in result.stderr
