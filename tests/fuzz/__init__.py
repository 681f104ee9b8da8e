"""Fuzz tests: inputs from other programs, generated from a grammar or mutated."""
