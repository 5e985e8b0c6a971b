"""Leads: those who asked for an offer, what we think of them, and what became of each."""
