-- Files that values refer to: which are kept, and which executions still hold them.

CREATE TABLE files (
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    touched INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX files_by_time ON files (touched);

CREATE TABLE file_references (
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    execution_id BLOB NOT NULL,
    PRIMARY KEY (workspace_id, hash, execution_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX file_references_by_execution ON file_references (execution_id);
