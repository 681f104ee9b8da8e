"""Fetches targets and rules from Promgen, checks them, and writes the files for Prometheus."""
