"""An app whose sagas are run by chaos; its processes call the partner in place of every step."""
