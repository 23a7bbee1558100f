-- What pages look back on: the audit log, the trash, calls that started nothing, saved views.

-- Who did what. Rows are only added, and each holds the hash of the one before it.

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    via TEXT NOT NULL,
    ip TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE INDEX audit_by_workspace ON audit (workspace_id, seq);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;

CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;

-- Workflows that were deleted: whole, with their versions, until they are restored or their time is over.
CREATE TABLE trash (
    number INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    name TEXT NOT NULL,
    folder TEXT NOT NULL,
    draft BLOB NOT NULL,
    seq INTEGER NOT NULL,
    field_versions BLOB NOT NULL,
    -- [number, content, note, created] of each version, as JSON.
    versions TEXT NOT NULL,
    created INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX trash_by_workspace ON trash (workspace_id, at);

-- Webhook calls that started no run: refused, or caught while the workflow was not published.
CREATE TABLE calls (
    number INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    node TEXT NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    -- Method, path, query, headers and body, as JSON.
    request BLOB NOT NULL
) STRICT;

CREATE INDEX calls_by_webhook ON calls (workspace_id, workflow_id, node, number);

CREATE TABLE views (
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    page TEXT NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    PRIMARY KEY (workspace_id, user_id, page, name)
) STRICT, WITHOUT ROWID;
