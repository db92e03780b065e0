-- Environments, and which revision of each configuration they serve; schemas and overlays;
-- everything that the audit trail has to name.
--
-- Whoever writes locks the rows that the write depends on, then takes its turn
-- (configsvc_take_turn), and only then writes. Turns come one at a time and last until the
-- commit, so that changes become visible in the order of their ids and of their moments.

ALTER TABLE configurations
    ADD COLUMN overlays jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN schema jsonb,
    ADD CONSTRAINT configurations_overlays_is_object CHECK (jsonb_typeof(overlays) = 'object'),
    ADD CONSTRAINT configurations_schema_is_object CHECK (jsonb_typeof(schema) = 'object');

-- The defaults are those of the schema, by JSON Pointer: found once, read with every snapshot.
ALTER TABLE revisions
    ADD COLUMN overlays jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN schema jsonb,
    ADD COLUMN defaults jsonb,
    ADD CONSTRAINT revisions_overlays_is_object CHECK (jsonb_typeof(overlays) = 'object'),
    ADD CONSTRAINT revisions_schema_is_object CHECK (jsonb_typeof(schema) = 'object'),
    ADD CONSTRAINT revisions_defaults_is_object CHECK (jsonb_typeof(defaults) = 'object');

-- An environment that is deleted stays here with its time, so that a past moment can still be
-- told; one that is made again under its name is another row.
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

-- Every move of a pointer, for ever. A row without version says that the environment has
-- ceased to serve the configuration. What an environment served ends with it, without a row.
CREATE TABLE releases (
    id bigint GENERATED ALWAYS AS IDENTITY,
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    configuration_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint,
    previous_version bigint,
    -- The earlier release whose state a rollback has brought back.
    restores bigint,
    author text NOT NULL,
    message text,
    created_at timestamptz NOT NULL,
    CONSTRAINT releases_pkey PRIMARY KEY (id),
    CONSTRAINT releases_version_is_positive CHECK (version >= 1),
    CONSTRAINT releases_message_length CHECK (char_length(message) <= 1024)
);

CREATE INDEX releases_configuration_id_idx ON releases (configuration_id, id);
-- A past moment is told from this index alone.
CREATE INDEX releases_environment_idx
    ON releases (application_id, environment, configuration_id, id DESC)
    INCLUDE (version, created_at);

-- What each environment serves now. The name is that of the released revision: a new name
-- reaches an environment with the revision that has it, and is unique there too.
CREATE TABLE release_pointers (
    application_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    configuration_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    release_id bigint NOT NULL,
    CONSTRAINT release_pointers_pkey PRIMARY KEY (configuration_id, environment),
    CONSTRAINT release_pointers_name_key UNIQUE (application_id, environment, name),
    CONSTRAINT release_pointers_revision_fkey FOREIGN KEY (configuration_id, version)
        REFERENCES revisions (configuration_id, version),
    CONSTRAINT release_pointers_release_id_fkey FOREIGN KEY (release_id) REFERENCES releases (id)
    -- Room for the next version of a row beside it, so that what is read together stays together.
) WITH (fillfactor = 70);

-- How many rows there are, so that no list has to count them.
CREATE TABLE totals (
    entity text COLLATE "C" NOT NULL,
    application_id text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT totals_pkey PRIMARY KEY (entity, application_id),
    CONSTRAINT totals_amount_is_natural CHECK (amount >= 0)
) WITH (fillfactor = 50);

ALTER TABLE changes
    ADD COLUMN environments text[] COLLATE "C" NOT NULL DEFAULT '{}',
    ADD COLUMN previous_name text,
    ADD COLUMN previous_version bigint,
    ADD COLUMN source_version bigint,
    DROP CONSTRAINT changes_action_is_known,
    DROP CONSTRAINT changes_entity_is_known,
    DROP CONSTRAINT changes_configuration_is_named,
    ADD CONSTRAINT changes_act_is_known CHECK (
        (entity IN ('application', 'environment') AND action IN ('create', 'update', 'delete'))
        OR (entity = 'configuration'
            AND action IN ('create', 'update', 'rollback', 'restore', 'delete'))
        OR (entity = 'release' AND action IN ('release', 'promote', 'rollback', 'withdraw'))
    ),
    ADD CONSTRAINT changes_configuration_is_named CHECK (
        (entity IN ('configuration', 'release')) = (configuration_id IS NOT NULL)
        AND (configuration_id IS NOT NULL OR version IS NULL)
        AND (entity <> 'configuration' OR version IS NOT NULL)
    );

CREATE INDEX changes_actor_idx ON changes (actor, id);
CREATE INDEX changes_action_idx ON changes (action, id);
CREATE INDEX changes_entity_idx ON changes (entity, id);
-- What an application was called at a past moment, and whether its environments changed.
CREATE INDEX changes_of_applications_idx ON changes (application_id, id)
    WHERE entity = 'application';
CREATE INDEX changes_of_environments_idx ON changes (application_id, id)
    WHERE entity = 'environment';

-- What was there before: every application gets its environment, which has served the newest
-- version all along.
INSERT INTO environments (
    application_id, name, position, auto_release, protected, created_at, updated_at
)
SELECT id, 'default', 0, true, false, created_at, created_at
FROM applications;

INSERT INTO releases (
    application_id, environment, configuration_id, name, version, previous_version, author,
    message, created_at
)
SELECT application_id, 'default', configuration_id, name,
       CASE WHEN action <> 'delete' THEN version END,
       lag(CASE WHEN action <> 'delete' THEN version END)
           OVER (PARTITION BY configuration_id ORDER BY id),
       actor, message, created_at
FROM changes
WHERE entity = 'configuration'
ORDER BY id;

INSERT INTO release_pointers (
    application_id, environment, configuration_id, name, version, release_id
)
SELECT configurations.application_id, 'default', configurations.id, configurations.name,
       configurations.version, releases.id
FROM configurations
JOIN releases
    ON releases.configuration_id = configurations.id AND releases.version = configurations.version;

INSERT INTO totals (entity, application_id, amount)
SELECT 'application', '', count(*) FROM applications
UNION ALL
SELECT 'configuration', '', count(*) FROM configurations
UNION ALL
SELECT 'configuration', application_id, count(*) FROM configurations GROUP BY application_id;

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

-- Wait for the turn to write, hold it until the commit, and return the moment of the write,
-- which is later than that of every change before it, also when the clock was set back.
--
-- Whoever has made up its mind on what it read gives the id of the last change at that time;
-- if its configuration (or, without one, anything in the application) or the application's
-- environments have changed since, it has to read again. Each statement of a volatile function
-- sees what others have committed until then, so also what they did while this one waited.
CREATE FUNCTION configsvc_take_turn(application text, configuration text, seen bigint)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(27988542649624420);
    IF EXISTS (
        SELECT FROM changes WHERE configuration_id = configuration AND id > seen
    ) OR EXISTS (
        -- One that was made again under its id has other environments.
        SELECT FROM changes
        WHERE application_id = application AND entity = 'application' AND action = 'delete'
            AND id > seen
    ) OR EXISTS (
        SELECT FROM changes
        WHERE application_id = application AND entity = 'environment' AND id > seen
    ) OR (configuration IS NULL AND EXISTS (
        SELECT FROM changes WHERE application_id = application AND id > seen
    )) THEN
        RAISE EXCEPTION 'a change came between reading and writing'
            USING ERRCODE = 'serialization_failure';
    END IF;
    SELECT created_at INTO last FROM changes ORDER BY id DESC LIMIT 1;
    RETURN greatest(clock_timestamp(), last + interval '1 microsecond');
END
$$;

-- Wait until nobody has a turn that began before now, and return that moment: what was the case
-- then can't become another any more.
CREATE FUNCTION configsvc_settle() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    reached timestamptz;
BEGIN
    SELECT greatest(clock_timestamp(), (SELECT created_at FROM changes ORDER BY id DESC LIMIT 1))
    INTO reached;
    PERFORM pg_advisory_xact_lock_shared(27988542649624420);
    RETURN reached;
END
$$;

-- The environments that a new revision is released to at once, with what each serves now.
-- Volatile for the same reason; the moment is an argument so that the turn is taken before.
CREATE FUNCTION configsvc_auto_releases(application text, configuration text, moment timestamptz)
RETURNS TABLE (environment text, previous_version bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT environments.name, release_pointers.version
    FROM environments
    LEFT JOIN release_pointers
        ON release_pointers.configuration_id = configuration
        AND release_pointers.environment = environments.name
    WHERE environments.application_id = application
        AND environments.auto_release
        AND environments.deleted_at IS NULL
        AND moment IS NOT NULL
$$;

-- The payload is the application's id, that of the configuration or a hyphen, and the names
-- of the environments whose snapshot is another one now.
CREATE OR REPLACE FUNCTION configsvc_notify_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'configsvc_changes',
        concat_ws(
            ' ', NEW.application_id, coalesce(NEW.configuration_id, '-'),
            nullif(array_to_string(NEW.environments, ' '), '')
        )
    );
    RETURN NULL;
END
$$;
