"""The database while there is none: checks and new migrations work, a query says what to do."""
