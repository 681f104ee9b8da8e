"""The subcommands: check, status, step-down, targets."""
