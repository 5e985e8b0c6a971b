"""The engine: start, dispatch, perform, record, continue, recover."""
