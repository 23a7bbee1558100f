-- What nodes have seen before, so that they let through only what is new.

CREATE TABLE seen (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    node TEXT NOT NULL,
    hash BLOB NOT NULL,
    -- The effect that saw it first: repeated after a crash, it sees the same as new.
    effect TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id, node, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX seen_by_time ON seen (workspace_id, workflow_id, node, at);
