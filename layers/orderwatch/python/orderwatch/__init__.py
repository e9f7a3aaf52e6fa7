"""orderwatch: alerts for orders that need a person."""
