"""The subcommands: ``check``, ``status``, ``step-down`` and ``targets``."""
