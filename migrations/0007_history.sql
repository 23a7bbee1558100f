-- History stays small: which executions still hold a stored value, and what people have set.

CREATE TABLE blob_references (
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    execution_id BLOB NOT NULL,
    PRIMARY KEY (execution_id, workspace_id, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_references_by_hash ON blob_references (workspace_id, hash);

CREATE TABLE preferences (
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, key)
) STRICT, WITHOUT ROWID;
