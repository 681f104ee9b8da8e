"""YAML as it was written: its nodes, their positions in the text, and its problems."""
