"""What people and programs receive: one content model and a thin renderer for each channel. Pure functions."""
