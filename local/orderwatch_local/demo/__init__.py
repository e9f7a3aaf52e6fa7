"""The demo: a scripted day on the local cloud, and the alerts that it must produce."""
