-- What became of production runs that failed: requeued (as which), or discarded. All others are dead letters.

CREATE TABLE dead_letters (
    workspace_id TEXT NOT NULL,
    execution_id BLOB NOT NULL PRIMARY KEY,
    outcome TEXT NOT NULL,
    next_id BLOB,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
