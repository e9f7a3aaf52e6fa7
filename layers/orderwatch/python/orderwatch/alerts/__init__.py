"""The alert `orderwatch.alert.v1`: the public contract for machines. Its JSON Schema is `docs/alert.schema.json`."""
