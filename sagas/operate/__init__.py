"""What people do to runs: one guarded, recorded verb per file."""
