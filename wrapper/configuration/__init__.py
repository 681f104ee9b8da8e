"""Inputs, the two configurations rendered from them, and checks and views of both."""
