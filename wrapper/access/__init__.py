"""TLS, passwords, certificates and proxies, for requests to other servers and for our own API."""
