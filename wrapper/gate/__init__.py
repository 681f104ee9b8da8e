"""The gate: a process that gets Prometheus' remote_write requests, and passes on or holds them."""
