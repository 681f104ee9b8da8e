"""The settings: flags, environment variables and Prometheus' arguments, parsed and checked."""
