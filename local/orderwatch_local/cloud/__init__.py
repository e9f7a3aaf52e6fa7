"""The local cloud: AWS emulated on this machine, with the real template deployed on it."""
