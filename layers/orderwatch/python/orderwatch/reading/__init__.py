"""What to read of a connection's orders, and how far it has been read. Values and pure rules."""
