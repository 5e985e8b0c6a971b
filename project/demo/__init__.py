"""`make demo`: real runs over real HTTP that succeed, or undo themselves, among bad partners."""
