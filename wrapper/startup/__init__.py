"""The start: what is checked before Prometheus is started, and what is built around it."""
