"""TLS, passwords, certificates and proxies, for our requests to others and for our own API."""
