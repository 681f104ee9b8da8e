"""Reads the input files, renders both configurations, checks them, and shows them to people."""
