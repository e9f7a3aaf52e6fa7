"""The vendor: its records, what can be asked of it, and the HTTP client."""
