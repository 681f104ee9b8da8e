"""TLS, passwords and certificates: how we ask Prometheus, and who may ask us."""
