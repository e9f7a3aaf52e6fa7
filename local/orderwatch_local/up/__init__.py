"""`orderwatch up`: watch your own shops from this machine."""
