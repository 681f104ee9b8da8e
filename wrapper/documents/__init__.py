"""YAML as it was written: its nodes, their places in the text, and problems in it."""
