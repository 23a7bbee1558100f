-- Schedules of published workflows, and each of their due times once: fired, or skipped and why.

CREATE TABLE schedules (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    node TEXT NOT NULL,
    recurrence TEXT NOT NULL,
    catch_up TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    next_due INTEGER,
    updated INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX schedules_due ON schedules (next_due) WHERE next_due IS NOT NULL AND paused = 0;

CREATE TABLE fires (
    workspace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    node TEXT NOT NULL,
    due INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    execution_id BLOB,
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, workflow_id, node, due)
) STRICT, WITHOUT ROWID;
