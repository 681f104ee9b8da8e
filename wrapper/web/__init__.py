"""The web process: the routes under /_elector/, the metrics, the status page, and their server."""
