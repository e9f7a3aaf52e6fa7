"""The alert `orderwatch.alert.v1`: the public contract for programs. Its JSON Schema is `docs/alert.schema.json`."""
