"""The way to the leading Prometheus: messages of HTTP/1.1, connections, and what is refused."""
