"""What waits in every shop, once a morning (rule 20): the third path is `summarize`, everything else pure rules."""
