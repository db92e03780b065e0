"""Statements that write a configuration with its history: one to insert, one to update.

A write is one statement, and so one round trip, that can't leave out its history: the row, its
revision, the releases to the environments with ``auto_release``, and the change. Each part waits
for the one that it reads from, which leaves PostgreSQL no other order than this: lock the rows
that the write depends on, acquire the write lock, write.
"""

__all__ = ["INSERT", "UPDATE"]

_COLUMNS = """
    id, application_id, name, comments, config, overlays, schema, version, created_at, updated_at,
    updated_by
"""

_HISTORY = f"""
    revised AS (
        INSERT INTO revisions (
            configuration_id, version, application_id, name, comments, config, overlays, schema,
            defaults, secrets, digest, author, message, created_at
        )
        SELECT id, version, application_id, name, comments, config, overlays, schema,
               %(defaults)s, %(secrets)s, %(digest)s, %(actor)s, %(message)s, updated_at
        FROM written
    ),
    released AS (
        INSERT INTO releases (
            application_id, environment, configuration_id, name, version, previous_version,
            author, message, created_at
        )
        SELECT written.application_id, auto.environment, written.id, written.name,
               written.version, auto.previous_version, %(actor)s, %(message)s, written.updated_at
        FROM written
        CROSS JOIN LATERAL configsvc_auto_releases(
            written.application_id, written.id, written.updated_at
        ) AS auto
        RETURNING id, application_id, environment, configuration_id, name, version
    ),
    served AS (
        INSERT INTO served_versions (
            application_id, environment, configuration_id, name, version, release_id
        )
        SELECT application_id, environment, configuration_id, name, version, id
        FROM released
        ON CONFLICT ON CONSTRAINT served_versions_pkey DO UPDATE
        SET name = excluded.name, version = excluded.version, release_id = excluded.release_id
    ),
    moved AS (
        SELECT coalesce(array_agg(environment ORDER BY environment), '{{}}') AS environments
        FROM released
    ),
    changed AS (
        INSERT INTO changes (
            action, entity, application_id, configuration_id, name, previous_name, version,
            source_version, environments, actor, request_id, message, created_at
        )
        SELECT %(action)s, 'configuration', application_id, id, name,
               nullif(previous_name, name), version, %(source_version)s, moved.environments,
               %(actor)s, %(request_id)s, %(message)s, updated_at
        FROM written CROSS JOIN moved
    )
    SELECT {_COLUMNS}, moved.environments
    FROM written CROSS JOIN moved
"""  # noqa: S608

_RETURNING = ", ".join(f"configurations.{column.strip()}" for column in _COLUMNS.split(","))

INSERT = f"""
    WITH parent AS (
        SELECT id FROM applications WHERE id = %(application_id)s FOR KEY SHARE
    ),
    write_lock AS MATERIALIZED (
        SELECT
            id,
            configsvc_acquire_write_lock(id, %(id)s, %(observed_change_id)s) AS acquired_at
        FROM parent
    ),
    written AS (
        INSERT INTO configurations ({_COLUMNS})
        SELECT
            %(id)s, write_lock.id, %(name)s, %(comments)s, %(config)s, %(overlays)s, %(schema)s,
            1 + coalesce(
                (SELECT max(version) FROM revisions WHERE configuration_id = %(id)s), 0
            ),
            coalesce(%(created_at)s, write_lock.acquired_at), write_lock.acquired_at, %(actor)s
        FROM write_lock
        RETURNING {_RETURNING}, NULL::text AS previous_name
    ),
    {_HISTORY}
""".encode()  # noqa: S608

UPDATE = f"""
    WITH locked AS (
        SELECT id, application_id, name
        FROM configurations
        WHERE id = %(id)s
            AND (%(application_id)s::text IS NULL OR application_id = %(application_id)s)
            AND (%(if_version)s::bigint[] IS NULL OR version = ANY (%(if_version)s))
        FOR UPDATE
    ),
    write_lock AS MATERIALIZED (
        SELECT
            id, name,
            configsvc_acquire_write_lock(application_id, id, %(observed_change_id)s)
                AS acquired_at
        FROM locked
    ),
    written AS (
        UPDATE configurations
        SET name = %(name)s,
            comments = %(comments)s,
            config = %(config)s,
            overlays = %(overlays)s,
            schema = %(schema)s,
            version = version + 1,
            updated_at = write_lock.acquired_at,
            updated_by = %(actor)s
        FROM write_lock
        WHERE configurations.id = write_lock.id
        RETURNING {_RETURNING}, write_lock.name AS previous_name
    ),
    {_HISTORY}
""".encode()  # noqa: S608
