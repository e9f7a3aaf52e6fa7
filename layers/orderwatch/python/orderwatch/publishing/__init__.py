"""Send alerts: lease, enrich, group, render, publish, mark as sent."""
