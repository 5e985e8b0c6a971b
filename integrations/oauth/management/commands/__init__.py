"""``manage.py oauth``."""
