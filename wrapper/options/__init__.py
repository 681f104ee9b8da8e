"""What was asked for: flags, variables, and the child's own arguments, read and checked."""
