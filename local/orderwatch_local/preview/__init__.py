"""The preview: what an alert looks like in each channel."""
