"""What people and machines receive: one module a channel, pure functions of an alert."""
