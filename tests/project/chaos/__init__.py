"""Chaos: its parts, and two small campaigns."""
