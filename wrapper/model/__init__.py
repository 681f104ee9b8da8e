"""The values that the parts hand to each other: shapes without rules and without I/O."""
