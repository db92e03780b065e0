"""Database constraints: every limit that the API promises, for other writers too."""

from collections.abc import Iterator

import psycopg
import pytest

APPLICATION = "01JD8W5Q0Z4T9G7M2N3P4Q5R6S"
CONFIGURATION = "01JD8W5Q0Z4T9G7M2N3P4Q5R6T"


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        insert_application(connection)
        insert_configuration(connection)
        connection.execute(
            "INSERT INTO revisions (configuration_id, version, application_id, name, comments, "
            "config, digest, author, created_at) "
            "SELECT id, version, application_id, name, comments, config, "
            "repeat('0', 64), 'me', now() FROM configurations"
        )
        connection.execute(
            "INSERT INTO changes (action, entity, application_id, name, actor, created_at) "
            "VALUES ('create', 'application', %s, 'billing', 'me', now())",
            [APPLICATION],
        )
        connection.execute(
            "INSERT INTO releases (application_id, environment, configuration_id, name, version, "
            "author, created_at) VALUES (%s, 'default', %s, 'database', 1, 'me', now())",
            [APPLICATION, CONFIGURATION],
        )
        yield connection


def insert_application(connection: psycopg.Connection, **members: object) -> None:
    row = {"id": APPLICATION, "name": "billing", "comments": None, **members}
    connection.execute(
        "INSERT INTO applications (id, name, comments, created_at, updated_at) "
        "VALUES (%(id)s, %(name)s, %(comments)s, now(), now())",
        row,
    )


def insert_configuration(connection: psycopg.Connection, **members: object) -> None:
    row = {
        "id": CONFIGURATION,
        "application_id": APPLICATION,
        "name": "database",
        "comments": None,
        "config": "{}",
        "version": 1,
        **members,
    }
    connection.execute(
        "INSERT INTO configurations (id, application_id, name, comments, config, version, "
        "created_at, updated_at, updated_by) VALUES (%(id)s, %(application_id)s, %(name)s, "
        "%(comments)s, %(config)s, %(version)s, now(), now(), 'me')",
        row,
    )


OTHER = "01JD8W5Q0Z4T9G7M2N3P4Q5R6V"


@pytest.mark.parametrize(
    ("members", "constraint"),
    [
        ({}, "applications_pkey"),
        ({"id": OTHER}, "applications_name_key"),
        ({"id": "x", "name": "x"}, "applications_id_is_ulid"),
        ({"id": OTHER.lower(), "name": "x"}, "applications_id_is_ulid"),
        ({"id": OTHER, "name": ""}, "applications_name_length"),
        ({"id": OTHER, "name": "x" * 257}, "applications_name_length"),
        ({"id": OTHER, "name": OTHER.lower()}, "applications_name_is_not_ulid"),
        ({"id": OTHER, "name": "x", "comments": "x" * 1025}, "applications_comments_length"),
    ],
)
def test_a_wrong_application_is_refused(
    connection: psycopg.Connection, members: dict[str, object], constraint: str
) -> None:
    with pytest.raises(psycopg.IntegrityError) as caught:
        insert_application(connection, **members)

    assert caught.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("members", "constraint"),
    [
        ({}, "configurations_pkey"),
        ({"id": OTHER}, "configurations_application_id_name_key"),
        ({"id": "x", "name": "x"}, "configurations_id_is_ulid"),
        ({"id": OTHER, "name": "x", "application_id": OTHER}, "configurations_application_id_fkey"),
        ({"id": OTHER, "name": ""}, "configurations_name_length"),
        ({"id": OTHER, "name": "x" * 257}, "configurations_name_length"),
        ({"id": OTHER, "name": "x", "comments": "x" * 1025}, "configurations_comments_length"),
        ({"id": OTHER, "name": "x", "config": "[]"}, "configurations_config_is_object"),
        ({"id": OTHER, "name": "x", "config": "null"}, "configurations_config_is_object"),
        ({"id": OTHER, "name": "x", "version": 0}, "configurations_version_is_positive"),
    ],
)
def test_a_wrong_configuration_is_refused(
    connection: psycopg.Connection, members: dict[str, object], constraint: str
) -> None:
    with pytest.raises(psycopg.IntegrityError) as caught:
        insert_configuration(connection, **members)

    assert caught.value.diag.constraint_name == constraint


def test_names_of_256_characters_of_any_script_fit(connection: psycopg.Connection) -> None:
    insert_application(connection, id=OTHER, name="\N{GRINNING FACE}" * 256)


def test_deleting_an_application_deletes_its_configurations(
    connection: psycopg.Connection,
) -> None:
    connection.execute("DELETE FROM applications")

    assert connection.execute("SELECT count(*) FROM configurations").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM revisions").fetchone() == (1,)


@pytest.mark.parametrize("table", ["revisions", "changes", "releases"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET message = 'x'", "DELETE FROM {}"])
def test_history_cannot_be_rewritten(
    connection: psycopg.Connection, table: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match=f"rows of {table} are immutable"):
        connection.execute(statement.format(table).encode())


@pytest.mark.parametrize(
    "members",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "x" * 65},
        {"position": -1},
        {"protected": True, "auto_release": True},
    ],
)
def test_a_wrong_environment_is_refused(
    connection: psycopg.Connection, members: dict[str, object]
) -> None:
    row = {"name": "prod", "position": 0, "auto_release": False, "protected": False, **members}
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO environments (application_id, name, position, auto_release, protected, "
            "created_at, updated_at) VALUES (%s, %s, %s, %s, %s, now(), now())",
            [APPLICATION, *row.values()],
        )


def test_an_environment_can_not_serve_two_configurations_under_one_name(
    connection: psycopg.Connection,
) -> None:
    connection.execute(
        "INSERT INTO served_versions SELECT application_id, 'default', id, 'a', 1, 1 "
        "FROM configurations"
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "INSERT INTO served_versions "
            "SELECT application_id, 'default', replace(id, 'T', 'V'), 'a', 1, 1 "
            "FROM configurations"
        )


def test_an_environment_can_not_serve_a_version_that_is_not_there(
    connection: psycopg.Connection,
) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute(
            "INSERT INTO served_versions SELECT application_id, 'default', id, 'a', 9, 1 "
            "FROM configurations"
        )
