"""The partners, their connectors, and the sagas that tie them together."""
