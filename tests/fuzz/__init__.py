"""Fuzz tests: everything that others may send us, made from a grammar or mutated."""
