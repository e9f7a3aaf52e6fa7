"""The daily summary: the backlog of every shop, once a morning (rule 20)."""
