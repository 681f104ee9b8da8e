"""The start: checks before Prometheus is started, then creates all threads and processes."""
