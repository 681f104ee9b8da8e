"""The matrix of versions: its rows, their runs, and the results.

`scripts/test-versions` runs `python -m tests.versions`.
"""
