-- Tell every server what has changed, so that each can forget what it holds in memory and
-- wake who waits. The payload is the application's id, then that of the configuration if the
-- change is of one. PostgreSQL delivers it after the commit, and only if there is one.

CREATE FUNCTION configsvc_notify_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'configsvc_changes', concat_ws(' ', NEW.application_id, NEW.configuration_id)
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER changes_notify AFTER INSERT ON changes
    FOR EACH ROW EXECUTE FUNCTION configsvc_notify_change();
