-- Circuit breakers that are not closed: of a workspace (no connector), or of one connector in it.

CREATE TABLE breakers (
    workspace_id TEXT NOT NULL,
    connector TEXT NOT NULL,
    state TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, connector)
) STRICT, WITHOUT ROWID;
