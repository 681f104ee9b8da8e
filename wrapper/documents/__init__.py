"""YAML as people wrote it: nodes, where they stand in the text, and what is wrong with them."""
