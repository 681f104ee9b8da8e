"""The gate: the process behind remote_write: it passes, holds and sends on what it gets."""
