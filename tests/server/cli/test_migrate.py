"""``configsvc migrate``, as an operator uses it."""

from pathlib import Path

from tests.server.cli.support import run


def test_up_status_and_verify(tmp_path: Path, empty_database_url: str) -> None:
    flags = ("--database-url", empty_database_url)

    before = run("migrate", "status", *flags, cwd=tmp_path)
    unverified = run("migrate", "verify", *flags, cwd=tmp_path)
    up = run("migrate", "up", *flags, cwd=tmp_path)
    again = run("migrate", "up", *flags, cwd=tmp_path)
    after = run("migrate", "status", *flags, cwd=tmp_path)
    verified = run("migrate", "verify", *flags, cwd=tmp_path)

    assert before.stdout.startswith("pending  0001_")
    assert unverified.returncode == 1
    assert "is not applied" in unverified.stderr
    assert "Applied 0001_" in up.stdout
    assert again.stdout == "Nothing to do: up to date.\n"
    assert after.stdout.startswith("applied  0001_")
    assert verified.returncode == 0


def test_it_works_on_the_embedded_database(tmp_path: Path, data_dir: Path) -> None:
    result = run("migrate", "up", "--data-dir", str(data_dir), cwd=tmp_path)

    assert result.returncode == 0
    assert "embedded PostgreSQL in" in result.stderr
    assert not (data_dir / "postgres/postmaster.pid").exists()
