"""The sagas that tie the partners together: one flow, one file, found by themselves."""
