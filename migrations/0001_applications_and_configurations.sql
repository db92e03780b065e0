-- Applications, configurations, their immutable revisions, and the log of changes.
-- Every limit that the API promises is a constraint here too, so that no other writer of
-- this database can break what readers rely on.

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
    config jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT configurations_pkey PRIMARY KEY (id),
    CONSTRAINT configurations_application_id_name_key UNIQUE (application_id, name),
    CONSTRAINT configurations_application_id_fkey FOREIGN KEY (application_id)
        REFERENCES applications (id) ON DELETE CASCADE,
    CONSTRAINT configurations_id_is_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    CONSTRAINT configurations_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT configurations_comments_length CHECK (char_length(comments) <= 1024),
    CONSTRAINT configurations_config_is_object CHECK (jsonb_typeof(config) = 'object'),
    CONSTRAINT configurations_version_is_positive CHECK (version >= 1),
    CONSTRAINT configurations_updated_after_created CHECK (updated_at >= created_at)
);

CREATE INDEX configurations_application_id_id_idx ON configurations (application_id, id);
CREATE INDEX configurations_application_id_updated_at_idx
    ON configurations (application_id, updated_at, id);
CREATE INDEX configurations_name_idx ON configurations (name, id);
CREATE INDEX configurations_updated_at_idx ON configurations (updated_at, id);

-- One row per version of a configuration, never changed. There is deliberately no foreign
-- key to configurations: a revision outlives its configuration, so that a deletion can be
-- undone and a re-created id continues its numbering.
CREATE TABLE revisions (
    configuration_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    application_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    comments text,
    config jsonb NOT NULL,
    digest text COLLATE "C" NOT NULL,
    author text NOT NULL,
    message text,
    created_at timestamptz NOT NULL,
    CONSTRAINT revisions_pkey PRIMARY KEY (configuration_id, version),
    CONSTRAINT revisions_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT revisions_comments_length CHECK (char_length(comments) <= 1024),
    CONSTRAINT revisions_message_length CHECK (char_length(message) <= 1024),
    CONSTRAINT revisions_config_is_object CHECK (jsonb_typeof(config) = 'object'),
    CONSTRAINT revisions_version_is_positive CHECK (version >= 1),
    CONSTRAINT revisions_digest_is_sha256 CHECK (digest ~ '^[0-9a-f]{64}$')
);

-- The audit trail and the change feed at once. Writers insert here last, under an advisory
-- lock that they hold until they commit, so that ids become visible in ascending order and
-- a reader that follows them skips nothing.
CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    action text NOT NULL,
    entity text NOT NULL,
    application_id text COLLATE "C" NOT NULL,
    configuration_id text COLLATE "C",
    name text NOT NULL,
    version bigint,
    actor text NOT NULL,
    request_id text,
    message text,
    created_at timestamptz NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (id),
    CONSTRAINT changes_action_is_known CHECK (action IN ('create', 'update', 'delete')),
    CONSTRAINT changes_entity_is_known CHECK (entity IN ('application', 'configuration')),
    CONSTRAINT changes_configuration_is_named CHECK (
        (entity = 'configuration') = (configuration_id IS NOT NULL)
        AND (configuration_id IS NULL) = (version IS NULL)
    ),
    CONSTRAINT changes_message_length CHECK (char_length(message) <= 1024)
);

CREATE INDEX changes_application_id_idx ON changes (application_id, id);
CREATE INDEX changes_configuration_id_idx ON changes (configuration_id, id)
    WHERE configuration_id IS NOT NULL;

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
