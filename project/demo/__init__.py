"""`make demo`: real orders over real HTTP that succeed, or undo themselves, among bad partners."""
