"""The page of one run: how it stands, what comes next, what happened, and what undo would do."""
