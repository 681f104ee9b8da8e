"""The matrix of versions: which rows there are, running them, and what came of it.

`scripts/test-versions` runs `python -m tests.versions`.
"""
