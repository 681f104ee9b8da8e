"""The web process: what the outside is told under /_elector/, and the server that tells it."""
