-- The whole schema: applications, their configurations and environments, immutable revisions,
-- releases, and the log of changes. Every limit that the API promises is a constraint here too, so
-- that no other writer of this database can break what readers rely on.
--
-- The order of every write: lock the rows that it depends on, acquire the write lock
-- (configsvc_acquire_write_lock), write. One writer at a time holds that lock, until it commits, so
-- changes become visible in the order of their ids and of their timestamps.

CREATE TABLE applications (
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    comments text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT applications_pkey PRIMARY KEY (id),
    CONSTRAINT applications_name_key UNIQUE (name),
    CONSTRAINT applications_id_is_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    CONSTRAINT applications_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    -- A path takes an id or a name, so no name may look like an id.
    CONSTRAINT applications_name_is_not_ulid CHECK (name !~* '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    CONSTRAINT applications_comments_length CHECK (char_length(comments) <= 1024),
    CONSTRAINT applications_updated_after_created CHECK (updated_at >= created_at)
);

CREATE INDEX applications_updated_at_idx ON applications (updated_at, id);

CREATE TABLE configurations (
    id text COLLATE "C" NOT NULL,
    application_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    comments text,
    -- Not jsonb, which writes 1e308 with all of its 309 digits: what is kept is the text.
    config json NOT NULL,
    overlays json NOT NULL DEFAULT '{}',
    schema json,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL,
    -- How much of a page it takes, in bytes: known without reading the documents.
    size bigint NOT NULL GENERATED ALWAYS AS (
        octet_length(config::text) + octet_length(overlays::text)
        + coalesce(octet_length(schema::text), 0)
    ) STORED,
    CONSTRAINT configurations_pkey PRIMARY KEY (id),
    CONSTRAINT configurations_application_id_name_key UNIQUE (application_id, name),
    CONSTRAINT configurations_application_id_fkey FOREIGN KEY (application_id)
        REFERENCES applications (id) ON DELETE CASCADE,
    CONSTRAINT configurations_id_is_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    CONSTRAINT configurations_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT configurations_comments_length CHECK (char_length(comments) <= 1024),
    CONSTRAINT configurations_config_is_object CHECK (json_typeof(config) = 'object'),
    CONSTRAINT configurations_overlays_is_object CHECK (json_typeof(overlays) = 'object'),
    CONSTRAINT configurations_schema_is_object CHECK (json_typeof(schema) = 'object'),
    CONSTRAINT configurations_version_is_positive CHECK (version >= 1),
    CONSTRAINT configurations_updated_after_created CHECK (updated_at >= created_at)
);

CREATE INDEX configurations_application_id_id_idx ON configurations (application_id, id);
CREATE INDEX configurations_application_id_updated_at_idx
    ON configurations (application_id, updated_at, id);
CREATE INDEX configurations_name_idx ON configurations (name, id);
CREATE INDEX configurations_updated_at_idx ON configurations (updated_at, id);

-- Searches by a part of a name or comment read every row unless there is such an index, which takes
-- an extension that not every PostgreSQL has, and that not every user may create.
DO $$
DECLARE
    trigrams text;
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        BEGIN
            CREATE EXTENSION IF NOT EXISTS pg_trgm;
        EXCEPTION WHEN OTHERS THEN
            RAISE NOTICE 'no index for searches: %', SQLERRM;
        END;
    END IF;
    SELECT nspname INTO trigrams
    FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
    WHERE extname = 'pg_trgm';
    IF FOUND THEN
        EXECUTE format(
            'CREATE INDEX applications_text_idx ON applications '
            'USING gin (name %1$I.gin_trgm_ops, comments %1$I.gin_trgm_ops)', trigrams
        );
        EXECUTE format(
            'CREATE INDEX configurations_text_idx ON configurations '
            'USING gin (name %1$I.gin_trgm_ops, comments %1$I.gin_trgm_ops)', trigrams
        );
    END IF;
END
$$;

-- One row per version of a configuration, never changed. There is deliberately no foreign
-- key to configurations: a revision outlives its configuration, so that a deletion can be
-- undone and a re-created id continues its numbering.
CREATE TABLE revisions (
    configuration_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    application_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    comments text,
    config json NOT NULL,
    overlays json NOT NULL DEFAULT '{}',
    schema json,
    -- The defaults of the schema, by JSON Pointer: found once, read with every snapshot.
    defaults json,
    -- JSON Pointers to what the schema marks as secret, found once as well.
    secrets json,
    digest text COLLATE "C" NOT NULL,
    author text NOT NULL,
    message text,
    created_at timestamptz NOT NULL,
    size bigint NOT NULL GENERATED ALWAYS AS (
        octet_length(config::text) + octet_length(overlays::text)
        + coalesce(octet_length(schema::text), 0) + coalesce(octet_length(defaults::text), 0)
        + coalesce(octet_length(secrets::text), 0)
    ) STORED,
    CONSTRAINT revisions_pkey PRIMARY KEY (configuration_id, version),
    CONSTRAINT revisions_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT revisions_comments_length CHECK (char_length(comments) <= 1024),
    CONSTRAINT revisions_message_length CHECK (char_length(message) <= 1024),
    CONSTRAINT revisions_config_is_object CHECK (json_typeof(config) = 'object'),
    CONSTRAINT revisions_overlays_is_object CHECK (json_typeof(overlays) = 'object'),
    CONSTRAINT revisions_schema_is_object CHECK (json_typeof(schema) = 'object'),
    CONSTRAINT revisions_defaults_is_object CHECK (json_typeof(defaults) = 'object'),
    CONSTRAINT revisions_secrets_is_array CHECK (json_typeof(secrets) = 'array'),
    CONSTRAINT revisions_version_is_positive CHECK (version >= 1),
    CONSTRAINT revisions_digest_is_sha256 CHECK (digest ~ '^[0-9a-f]{64}$')
);

-- A deleted environment keeps its row, with the time of its deletion, so that past snapshots can
-- still be read; one that is created again under the same name is another row.
CREATE TABLE environments (
    application_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    position integer NOT NULL,
    auto_release boolean NOT NULL,
    protected boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT environments_pkey PRIMARY KEY (application_id, name, created_at),
    CONSTRAINT environments_name_is_plain CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    CONSTRAINT environments_position_is_natural CHECK (position >= 0),
    CONSTRAINT environments_protected_is_released_by_hand CHECK (NOT (protected AND auto_release)),
    CONSTRAINT environments_updated_after_created CHECK (updated_at >= created_at),
    CONSTRAINT environments_deleted_after_created CHECK (deleted_at >= created_at)
);

CREATE UNIQUE INDEX environments_name_key ON environments (application_id, name)
    WHERE deleted_at IS NULL;

-- Every change of what an environment serves, append-only. A row without a version ends the
-- serving of the configuration. What an environment served ends with it, without a row.
CREATE TABLE releases (
    id bigint GENERATED ALWAYS AS IDENTITY,
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    configuration_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint,
    previous_version bigint,
    -- The earlier release whose state a rollback has brought back.
    rolls_back_to bigint,
    author text NOT NULL,
    message text,
    created_at timestamptz NOT NULL,
    CONSTRAINT releases_pkey PRIMARY KEY (id),
    CONSTRAINT releases_version_is_positive CHECK (version >= 1),
    CONSTRAINT releases_message_length CHECK (char_length(message) <= 1024)
);

CREATE INDEX releases_configuration_id_idx ON releases (configuration_id, id);
-- A past snapshot is found from this index alone.
CREATE INDEX releases_environment_idx
    ON releases (application_id, environment, configuration_id, id DESC)
    INCLUDE (version, created_at);

-- What each environment serves now. The name is that of the released revision: a new name
-- reaches an environment with the revision that has it, and is unique there too.
CREATE TABLE served_versions (
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    configuration_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    release_id bigint NOT NULL,
    CONSTRAINT served_versions_pkey PRIMARY KEY (configuration_id, environment),
    CONSTRAINT served_versions_name_key UNIQUE (application_id, environment, name),
    CONSTRAINT served_versions_revision_fkey FOREIGN KEY (configuration_id, version)
        REFERENCES revisions (configuration_id, version),
    CONSTRAINT served_versions_release_id_fkey FOREIGN KEY (release_id) REFERENCES releases (id)
    -- Room for the next version of a row beside it, so that what is read together stays together.
) WITH (fillfactor = 70);

-- How many rows there are, so that no list has to count them.
CREATE TABLE totals (
    entity text COLLATE "C" NOT NULL,
    application_id text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT totals_pkey PRIMARY KEY (entity, application_id),
    CONSTRAINT totals_amount_is_natural CHECK (amount >= 0),
    CONSTRAINT totals_configurations_are_bounded CHECK (application_id = '' OR amount <= 5000)
) WITH (fillfactor = 50);

-- How large the snapshot of each environment is at most, in bytes: what it serves, with all
-- overlays, and some more for each configuration. A snapshot is one answer, so it is bounded here,
-- where it grows, and not where it is read.
CREATE TABLE snapshot_sizes (
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT snapshot_sizes_pkey PRIMARY KEY (application_id, environment),
    CONSTRAINT snapshot_sizes_amount_is_natural CHECK (amount >= 0)
) WITH (fillfactor = 50);

-- The audit trail and the change feed at once. Writers insert here while they hold the write lock,
-- so that ids become visible in ascending order and a reader that follows them skips nothing.
CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    action text NOT NULL,
    entity text NOT NULL,
    -- NULL where it concerns the installation: tokens, grants and sessions.
    application_id text COLLATE "C",
    configuration_id text COLLATE "C",
    name text NOT NULL,
    previous_name text,
    version bigint,
    previous_version bigint,
    source_version bigint,
    environments text[] COLLATE "C" NOT NULL DEFAULT '{}',
    -- Of a token or grant: who gets which roles where. Of a session: whose it is.
    details json,
    actor text NOT NULL,
    request_id text,
    message text,
    created_at timestamptz NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (id),
    CONSTRAINT changes_action_is_known CHECK (
        (entity IN ('application', 'environment') AND action IN ('create', 'update', 'delete'))
        OR (entity = 'configuration'
            AND action IN ('create', 'update', 'rollback', 'restore', 'delete'))
        OR (entity = 'release' AND action IN ('release', 'promote', 'rollback', 'withdraw'))
        OR (entity = 'token' AND action IN ('create', 'rotate', 'delete'))
        OR (entity IN ('grant', 'session') AND action IN ('create', 'delete'))
    ),
    CONSTRAINT changes_application_is_named CHECK (
        entity IN ('token', 'grant', 'session') OR application_id IS NOT NULL
    ),
    CONSTRAINT changes_configuration_is_named CHECK (
        (entity IN ('configuration', 'release')) = (configuration_id IS NOT NULL)
        AND (configuration_id IS NOT NULL OR version IS NULL)
        AND (entity <> 'configuration' OR version IS NOT NULL)
    ),
    CONSTRAINT changes_message_length CHECK (char_length(message) <= 1024)
);

CREATE INDEX changes_application_id_idx ON changes (application_id, id);
CREATE INDEX changes_configuration_id_idx ON changes (configuration_id, id)
    WHERE configuration_id IS NOT NULL;
CREATE INDEX changes_actor_idx ON changes (actor, id);
CREATE INDEX changes_action_idx ON changes (action, id);
CREATE INDEX changes_entity_idx ON changes (entity, id);
-- What an application was called at a past timestamp, and whether its environments changed.
CREATE INDEX changes_of_applications_idx ON changes (application_id, id)
    WHERE entity = 'application';
CREATE INDEX changes_of_environments_idx ON changes (application_id, id)
    WHERE entity = 'environment';
-- The last change of what a GET of an application shows: of itself, or of which configurations
-- it has. Its id is the ETag of the application.
CREATE INDEX changes_of_application_content_idx ON changes (application_id, id)
    WHERE entity = 'application'
        OR (entity = 'configuration' AND action IN ('create', 'restore', 'delete'));

-- API tokens. Only a hash of the secret is kept. After a rotation the secret before it works on until
-- the overlap is over.
CREATE TABLE tokens (
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    secret_hash bytea NOT NULL,
    hint text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    rotated_at timestamptz,
    previous_hash bytea,
    previous_expires_at timestamptz,
    last_used_at timestamptz,
    last_used_address text,
    last_used_client text,
    CONSTRAINT tokens_pkey PRIMARY KEY (id),
    CONSTRAINT tokens_name_key UNIQUE (name),
    CONSTRAINT tokens_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT tokens_id_is_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    CONSTRAINT tokens_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT tokens_secret_hash_is_sha256 CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT tokens_previous_hash_is_sha256 CHECK (octet_length(previous_hash) = 32),
    CONSTRAINT tokens_previous_hash_expires
        CHECK ((previous_hash IS NULL) = (previous_expires_at IS NULL))
);

CREATE UNIQUE INDEX tokens_previous_hash_key ON tokens (previous_hash)
    WHERE previous_hash IS NOT NULL;

-- Roles of principals: of a token (token:ID), of somebody an issuer knows (ISSUER:NAME), or of a
-- group of such (group:ISSUER:NAME); on everything, an application, or one environment of it.
CREATE TABLE grants (
    id text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    application_id text COLLATE "C",
    environment text COLLATE "C",
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    CONSTRAINT grants_pkey PRIMARY KEY (id),
    CONSTRAINT grants_key
        UNIQUE NULLS NOT DISTINCT (principal, application_id, environment, role),
    CONSTRAINT grants_application_id_fkey FOREIGN KEY (application_id)
        REFERENCES applications (id) ON DELETE CASCADE,
    CONSTRAINT grants_id_is_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    CONSTRAINT grants_principal_length CHECK (char_length(principal) BETWEEN 1 AND 600),
    CONSTRAINT grants_role_is_known CHECK (role IN ('reader', 'editor', 'releaser', 'admin')),
    CONSTRAINT grants_environment_has_application
        CHECK (environment IS NULL OR application_id IS NOT NULL)
);

CREATE INDEX grants_application_id_idx ON grants (application_id, id);

-- What is written is never rewritten: not by a bug, not by hand, unless the trigger is
-- dropped first, which leaves its own trace in the schema.
CREATE FUNCTION configsvc_refuse_rewriting_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are immutable', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER revisions_are_immutable BEFORE UPDATE OR DELETE ON revisions
    FOR EACH ROW EXECUTE FUNCTION configsvc_refuse_rewriting_history();

CREATE TRIGGER changes_are_immutable BEFORE UPDATE OR DELETE ON changes
    FOR EACH ROW EXECUTE FUNCTION configsvc_refuse_rewriting_history();

CREATE TRIGGER releases_are_immutable BEFORE UPDATE OR DELETE ON releases
    FOR EACH ROW EXECUTE FUNCTION configsvc_refuse_rewriting_history();

CREATE FUNCTION configsvc_count_applications() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO totals AS t (entity, application_id, amount)
    SELECT 'application', '', count(*) FROM added
    ON CONFLICT ON CONSTRAINT totals_pkey DO UPDATE SET amount = t.amount + excluded.amount;
    RETURN NULL;
END
$$;

CREATE FUNCTION configsvc_discount_applications() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE totals SET amount = amount - (SELECT count(*) FROM removed)
    WHERE entity = 'application' AND application_id = '';
    DELETE FROM totals USING removed WHERE totals.application_id = removed.id;
    RETURN NULL;
END
$$;

CREATE FUNCTION configsvc_count_configurations() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO totals AS t (entity, application_id, amount)
    SELECT 'configuration', coalesce(application_id, ''), count(*)
    FROM added
    GROUP BY GROUPING SETS ((), (application_id))
    ON CONFLICT ON CONSTRAINT totals_pkey DO UPDATE SET amount = t.amount + excluded.amount;
    RETURN NULL;
END
$$;

CREATE FUNCTION configsvc_discount_configurations() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE totals SET amount = totals.amount - gone.amount
    FROM (
        SELECT coalesce(application_id, '') AS application_id, count(*) AS amount
        FROM removed
        GROUP BY GROUPING SETS ((), (application_id))
    ) AS gone
    WHERE totals.entity = 'configuration' AND totals.application_id = gone.application_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER applications_are_counted AFTER INSERT ON applications
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION configsvc_count_applications();
CREATE TRIGGER applications_are_discounted AFTER DELETE ON applications
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION configsvc_discount_applications();
CREATE TRIGGER configurations_are_counted AFTER INSERT ON configurations
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION configsvc_count_configurations();
CREATE TRIGGER configurations_are_discounted AFTER DELETE ON configurations
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION configsvc_discount_configurations();

-- How many bytes a served version takes of a snapshot. A subquery, and not a join of many, which
-- could be planned as one that reads all revisions.
CREATE FUNCTION configsvc_served_size(configuration text, served bigint, called text)
RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT 256 + octet_length(called) + size
    FROM revisions
    WHERE configuration_id = configuration AND version = served
$$;

-- Keep the sizes of snapshots, and refuse one that is too large.
CREATE FUNCTION configsvc_measure_snapshots() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    too_large text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM added) THEN
            RETURN NULL;
        END IF;
        INSERT INTO snapshot_sizes AS s (application_id, environment, amount)
        SELECT application_id, environment,
               sum(configsvc_served_size(configuration_id, version, name))
        FROM added
        GROUP BY application_id, environment
        ON CONFLICT ON CONSTRAINT snapshot_sizes_pkey
        DO UPDATE SET amount = s.amount + excluded.amount;
    ELSIF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM added) THEN
            RETURN NULL;
        END IF;
        UPDATE snapshot_sizes SET amount = snapshot_sizes.amount + moved.amount
        FROM (
            SELECT application_id, environment, sum(amount) AS amount
            FROM (
                SELECT application_id, environment,
                       configsvc_served_size(configuration_id, version, name) AS amount
                FROM added
                UNION ALL
                SELECT application_id, environment,
                       -configsvc_served_size(configuration_id, version, name)
                FROM removed
            ) AS each
            GROUP BY application_id, environment
        ) AS moved
        WHERE snapshot_sizes.application_id = moved.application_id
            AND snapshot_sizes.environment = moved.environment;
    ELSE
        UPDATE snapshot_sizes SET amount = snapshot_sizes.amount - gone.amount
        FROM (
            SELECT application_id, environment,
                   sum(configsvc_served_size(configuration_id, version, name)) AS amount
            FROM removed
            GROUP BY application_id, environment
        ) AS gone
        WHERE snapshot_sizes.application_id = gone.application_id
            AND snapshot_sizes.environment = gone.environment;
        RETURN NULL;
    END IF;
    SELECT snapshot_sizes.environment INTO too_large
    FROM snapshot_sizes
    WHERE amount > 16777216 AND (application_id, environment) IN (
        SELECT added.application_id, added.environment FROM added
    )
    ORDER BY environment
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the snapshot would be too large' USING
            ERRCODE = 'check_violation',
            CONSTRAINT = 'snapshot_sizes_amount_is_bounded',
            DETAIL = too_large;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER served_versions_are_measured AFTER INSERT ON served_versions
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION configsvc_measure_snapshots();
CREATE TRIGGER served_versions_are_measured_anew AFTER UPDATE ON served_versions
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION configsvc_measure_snapshots();
CREATE TRIGGER served_versions_are_measured_no_more AFTER DELETE ON served_versions
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION configsvc_measure_snapshots();

-- Acquire the write lock, which is held until the commit, and return the timestamp of the write.
-- It is later than that of every change before it, also when the clock was set back.
--
-- A writer that depends on what it has read passes the id of the last change at that time. If its
-- configuration (or, without one, anything in the application) or the environments of the
-- application have changed since, it fails and has to read again. Each statement of a volatile
-- function sees what others have committed until then, so also what they did while it waited.
CREATE FUNCTION configsvc_acquire_write_lock(
    application text, configuration text, observed_change_id bigint
) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last timestamptz;
BEGIN
    -- The number of the write lock, as in configsvc_write_barrier; it differs from the one that
    -- migrations are applied under.
    PERFORM pg_advisory_xact_lock(27988542649624420);
    IF EXISTS (
        SELECT FROM changes WHERE configuration_id = configuration AND id > observed_change_id
    ) OR EXISTS (
        -- One that was created again under its id has other environments.
        SELECT FROM changes
        WHERE application_id = application AND entity = 'application' AND action = 'delete'
            AND id > observed_change_id
    ) OR EXISTS (
        SELECT FROM changes
        WHERE application_id = application AND entity = 'environment' AND id > observed_change_id
    ) OR (configuration IS NULL AND EXISTS (
        SELECT FROM changes WHERE application_id = application AND id > observed_change_id
    )) THEN
        RAISE EXCEPTION 'a change came between reading and writing'
            USING ERRCODE = 'serialization_failure';
    END IF;
    SELECT created_at INTO last FROM changes ORDER BY id DESC LIMIT 1;
    RETURN greatest(clock_timestamp(), last + interval '1 microsecond');
END
$$;

-- Wait for the writer that holds the write lock now, if one does, and return a timestamp for which
-- nothing can be written any more.
CREATE FUNCTION configsvc_write_barrier() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    settled timestamptz;
BEGIN
    SELECT greatest(clock_timestamp(), (SELECT created_at FROM changes ORDER BY id DESC LIMIT 1))
    INTO settled;
    -- The same number as in configsvc_acquire_write_lock.
    PERFORM pg_advisory_xact_lock_shared(27988542649624420);
    RETURN settled;
END
$$;

-- The environments that a new revision is released to at once, with what each serves now. Volatile
-- for the same reason; the timestamp is an argument so that the write lock is acquired before.
CREATE FUNCTION configsvc_auto_releases(
    application text, configuration text, written_at timestamptz
) RETURNS TABLE (environment text, previous_version bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT environments.name, served_versions.version
    FROM environments
    LEFT JOIN served_versions
        ON served_versions.configuration_id = configuration
        AND served_versions.environment = environments.name
    WHERE environments.application_id = application
        AND environments.auto_release
        AND environments.deleted_at IS NULL
        AND written_at IS NOT NULL
$$;

-- Tell every server what has changed, so that each can evict what it holds in memory and wake who
-- waits. The payload has two lines. The first is the id of the application, that of the configuration,
-- a hyphen for either that there is not, the entity, the action, and the names of the environments whose snapshot is another one
-- now; the second is the actor, who is cut because a payload has 8000 bytes. PostgreSQL delivers it
-- after the commit, and only if there is one.
CREATE FUNCTION configsvc_notify_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'configsvc_changes',
        concat_ws(
            ' ', '@' || round(extract(epoch FROM clock_timestamp()), 6),
            coalesce(NEW.application_id, '-'), coalesce(NEW.configuration_id, '-'), NEW.entity, NEW.action,
            nullif(array_to_string(NEW.environments, ' '), '')
        ) || chr(10) || left(NEW.actor, 1000)
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER changes_notify AFTER INSERT ON changes
    FOR EACH ROW EXECUTE FUNCTION configsvc_notify_change();

-- Persons who are signed in, each with one browser. Only a hash of the secret in the cookie is kept.
-- A session that was begun with an API token has its id and the hash of the secret, with which it
-- ends, and no claims of an issuer.
CREATE TABLE sessions (
    id text COLLATE "C" NOT NULL,
    secret_hash bytea NOT NULL,
    principal text COLLATE "C" NOT NULL,
    issuer text COLLATE "C",
    groups text[] COLLATE "C" NOT NULL DEFAULT '{}',
    claims json NOT NULL DEFAULT '{}',
    token_id text COLLATE "C",
    token_hash bytea,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    address text NOT NULL,
    user_agent text,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT sessions_id_is_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    CONSTRAINT sessions_secret_hash_is_sha256 CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT sessions_principal_length CHECK (char_length(principal) BETWEEN 1 AND 600),
    CONSTRAINT sessions_are_of_an_issuer_or_a_token CHECK ((issuer IS NULL) <> (token_id IS NULL)),
    CONSTRAINT sessions_token_has_a_secret CHECK ((token_id IS NULL) = (token_hash IS NULL)),
    CONSTRAINT sessions_token_hash_is_sha256 CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX sessions_principal_idx ON sessions (principal, id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

-- Tell every server that a session has ended, so that none of them goes on to accept it.
CREATE FUNCTION configsvc_notify_session() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('configsvc_sessions', encode(OLD.secret_hash, 'hex'));
    RETURN NULL;
END
$$;

CREATE TRIGGER sessions_notify AFTER DELETE ON sessions
    FOR EACH ROW EXECUTE FUNCTION configsvc_notify_session();

-- What issuers have published last, for servers that start while an issuer can't be reached: public
-- keys and addresses, no secrets.
CREATE TABLE issuer_keys (
    issuer text COLLATE "C" NOT NULL,
    document json NOT NULL,
    fetched_at timestamptz NOT NULL,
    CONSTRAINT issuer_keys_pkey PRIMARY KEY (issuer),
    CONSTRAINT issuer_keys_issuer_length CHECK (char_length(issuer) BETWEEN 1 AND 1024)
);

-- Instances: processes that poll snapshots, each as often as there are servers that have seen it.
-- Which server a poll reaches may be chance, and no server has to write because of what another
-- one has written. None of it is needed to serve, so a crash of PostgreSQL may empty the tables:
-- servers then write again what they know.
CREATE UNLOGGED TABLE fleet_servers (
    id text COLLATE "C" NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    CONSTRAINT fleet_servers_pkey PRIMARY KEY (id)
);

CREATE UNLOGGED TABLE instances (
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    server text COLLATE "C" NOT NULL,
    service text,
    version text,
    sdk text,
    host text,
    processes integer NOT NULL,
    -- The tag of the snapshot that it has; NULL if it has none yet.
    serves text COLLATE "C",
    since timestamptz NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    -- How many parts of it the instance rejects, if it says so with its polls.
    rejects integer,
    -- When the server has seen that it serves this, after the last change of the environment.
    confirmed_at timestamptz NOT NULL,
    -- How long after its last poll it counts as gone.
    gone_after interval NOT NULL,
    gone_at timestamptz,
    address text NOT NULL,
    principal text,
    CONSTRAINT instances_pkey PRIMARY KEY (application_id, environment, id, server)
) WITH (fillfactor = 70);

CREATE INDEX instances_gone_at_idx ON instances (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX instances_server_idx ON instances (server);

-- What instances have reported: they have this snapshot, but could not use parts of it.
CREATE UNLOGGED TABLE instance_rejections (
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    rejections jsonb NOT NULL,
    reported_at timestamptz NOT NULL,
    CONSTRAINT instance_rejections_pkey PRIMARY KEY (application_id, environment, id),
    CONSTRAINT instance_rejections_is_array CHECK (jsonb_typeof(rejections) = 'array')
);

-- What each instance has served since when. It outlives the tables above, and rows that are too old
-- are deleted.
CREATE TABLE instance_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    serves text COLLATE "C",
    since timestamptz NOT NULL,
    is_gone boolean NOT NULL,
    rejections jsonb,
    CONSTRAINT instance_log_pkey PRIMARY KEY (id)
);

CREATE INDEX instance_log_instance_idx
    ON instance_log (application_id, environment, instance, at DESC, id DESC);
CREATE INDEX instance_log_at_idx ON instance_log (at);

-- Each instance once: as the server knows it that has seen it last, as far as that can be told.
-- One that a server still sees is not gone, and a server that has not been told what it has knows
-- less than one that has. A server that is dead can not say that an instance is gone, so its last
-- heartbeat counts as the last poll of all that it has seen.
CREATE VIEW fleet AS
SELECT DISTINCT ON (seen.application_id, seen.environment, seen.instance)
    seen.application_id, seen.environment, seen.instance, seen.service, seen.version, seen.sdk,
    seen.host, seen.processes, seen.serves, seen.since, seen.first_seen_at, seen.last_seen_at,
    seen.is_gone, seen.address, seen.principal,
    -- What it says with its polls counts before what it has reported.
    CASE WHEN seen.rejects IS DISTINCT FROM 0 THEN reported.rejections END AS rejections,
    coalesce(seen.rejects > 0, reported.rejections IS NOT NULL) AS is_rejecting
FROM (
    SELECT instances.application_id, instances.environment, instances.id AS instance,
           instances.service, instances.version, instances.sdk, instances.host,
           instances.processes, instances.serves, instances.rejects, instances.since,
           instances.first_seen_at,
           -- The server would have said that it is gone.
           greatest(
               instances.last_seen_at,
               CASE WHEN instances.gone_at IS NULL
                   THEN fleet_servers.heartbeat_at - instances.gone_after END
           ) AS last_seen_at,
           instances.confirmed_at,
           instances.gone_at IS NOT NULL OR coalesce(
               fleet_servers.heartbeat_at + instances.gone_after < now(), true
           ) AS is_gone,
           instances.address, instances.principal
    FROM instances
    LEFT JOIN fleet_servers ON fleet_servers.id = instances.server
) AS seen
LEFT JOIN instance_rejections AS reported
    ON reported.application_id = seen.application_id
    AND reported.environment = seen.environment
    AND reported.id = seen.instance
    AND reported.version = seen.serves
    AND reported.rejections <> '[]'
ORDER BY seen.application_id, seen.environment, seen.instance, seen.is_gone,
    seen.serves IS NULL, seen.confirmed_at DESC;
