-- Who made a version, and how what was taken away comes back: versions get an author, the trash keeps what was live.

-- The name as it was then, as in the audit log: people go, and versions stay. Those from before have none.
ALTER TABLE versions ADD COLUMN author TEXT NOT NULL DEFAULT '';

-- The version that was live, and the nodes whose schedules stood still, as a JSON array.
ALTER TABLE trash ADD COLUMN published INTEGER;
ALTER TABLE trash ADD COLUMN paused TEXT NOT NULL DEFAULT '[]';

-- Whether somebody has done the tour or wants none; whether single letters are keys to them.
ALTER TABLE users ADD COLUMN toured INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN single_keys INTEGER NOT NULL DEFAULT 1;

-- A deleted connection, sealed as it was, for as long as it can be brought back.
CREATE TABLE deleted_credentials (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    hosts TEXT NOT NULL,
    sealed TEXT NOT NULL,
    key_id TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;
