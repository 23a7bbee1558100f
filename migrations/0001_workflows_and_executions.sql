-- Workflows with their versions, frozen contents, executions with their segments, and what guards both.

CREATE TABLE meta (
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value ANY,
    PRIMARY KEY (workspace_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE workflows (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    folder TEXT NOT NULL,
    tags TEXT NOT NULL,
    draft BLOB NOT NULL,
    seq INTEGER NOT NULL,
    field_versions BLOB NOT NULL,
    published INTEGER,
    active INTEGER NOT NULL DEFAULT 0,
    last_number INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    id TEXT NOT NULL,
    answer BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id, id)
) STRICT, WITHOUT ROWID;

-- Numbers outlive a deleted workflow, and count for documents that were only run from a file.
CREATE TABLE counters (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    last_number INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    document BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (workspace_id, hash)
) STRICT;

CREATE TABLE versions (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    content_id INTEGER NOT NULL REFERENCES contents (id),
    note TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE hooks (
    path TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    node TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX hooks_by_workflow ON hooks (workspace_id, workflow_id);

CREATE TABLE executions (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    state INTEGER NOT NULL,
    waiting TEXT,
    wake_at INTEGER,
    trigger TEXT NOT NULL,
    mode TEXT NOT NULL,
    root BLOB,
    priority INTEGER NOT NULL,
    owner TEXT,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- The sequence number at the last death of the process under it.
    died_at INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    created INTEGER NOT NULL,
    started INTEGER,
    finished INTEGER,
    ran_us INTEGER NOT NULL,
    reason TEXT,
    error BLOB,
    -- The node of another execution that waits for this one, as JSON.
    parent TEXT
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX executions_by_number ON executions (workspace_id, workflow_id, number);
CREATE INDEX executions_not_completed ON executions (workspace_id, state, id) WHERE state <> 3;
CREATE INDEX executions_pending ON executions (priority DESC, id) WHERE state = 0 AND waiting IS NULL;
-- Pending, but over the workflow's own limit of runs at a time.
CREATE INDEX executions_held ON executions (workspace_id, workflow_id, priority DESC, id)
    WHERE state = 0 AND waiting IS NOT NULL;
CREATE INDEX executions_running ON executions (id) WHERE state = 1 AND waiting IS NULL;
CREATE INDEX executions_active ON executions (workspace_id, workflow_id, id) WHERE state = 1;
CREATE INDEX executions_for_people ON executions (workspace_id, id)
    WHERE state = 1 AND waiting IN ('approval', 'ask');
CREATE INDEX executions_wake ON executions (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE segments (
    execution_id BLOB NOT NULL,
    first_seq INTEGER NOT NULL,
    workspace_id TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (execution_id, first_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    data BLOB,
    PRIMARY KEY (workspace_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    workspace_id TEXT NOT NULL,
    trigger TEXT NOT NULL,
    delivery TEXT NOT NULL,
    execution_id BLOB NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, trigger, delivery)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_by_expiry ON deliveries (expires);
