"""Before and around the start of Prometheus: what is checked, what is built, in which order."""
