-- What is to be done because a run has ended or was cancelled, noted in the commit that ended it: an error
-- workflow to start, a caller to go on, a called run to cancel. Done once, and then forgotten.

CREATE TABLE follow_ups (
    number INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    execution_id BLOB NOT NULL
) STRICT;
