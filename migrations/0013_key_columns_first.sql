-- SQLite before 3.42 takes NULLs for granted in a table whose key columns are not its first: its quick check
-- then calls a sound database damaged. So the key columns come first.

CREATE TABLE blob_references_by_execution (
    execution_id BLOB NOT NULL,
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (execution_id, workspace_id, hash)
) STRICT, WITHOUT ROWID;

INSERT INTO blob_references_by_execution (execution_id, workspace_id, hash)
SELECT execution_id, workspace_id, hash FROM blob_references;

DROP TABLE blob_references;
ALTER TABLE blob_references_by_execution RENAME TO blob_references;
CREATE INDEX blob_references_by_hash ON blob_references (workspace_id, hash);

CREATE TABLE dead_letters_by_execution (
    execution_id BLOB NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    next_id BLOB,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO dead_letters_by_execution (execution_id, workspace_id, outcome, next_id, at)
SELECT execution_id, workspace_id, outcome, next_id, at FROM dead_letters;

DROP TABLE dead_letters;
ALTER TABLE dead_letters_by_execution RENAME TO dead_letters;
