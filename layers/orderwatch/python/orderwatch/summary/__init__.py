"""The daily summary: the backlog of every shop, each morning (rule 20)."""
