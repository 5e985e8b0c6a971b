"""The shop front's pages."""
