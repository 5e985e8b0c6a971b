"""The pure part: what a saga is and what its next move must be. No ORM, no broker, no clock."""
