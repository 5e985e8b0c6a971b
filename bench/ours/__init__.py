"""This engine's side: the saga that is measured, and what starts it."""
