"""A person's browser on the real site: stories, and what holds on every page."""
