"""One poll of one connection: which orders changed, and which of these changes become alerts."""
