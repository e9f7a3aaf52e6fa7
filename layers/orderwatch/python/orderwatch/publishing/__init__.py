"""One batch of alerts: enriched, grouped, rendered, sent and recorded."""
