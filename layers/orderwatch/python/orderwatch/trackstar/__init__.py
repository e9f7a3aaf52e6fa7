"""Trackstar's API: the client and the vendor's records."""
