"""The proxy to the leader's Prometheus: HTTP/1.1 messages, connections, and refused requests."""
