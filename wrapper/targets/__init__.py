"""Targets and rules from Promgen: fetched, checked, and written where Prometheus reads them."""
