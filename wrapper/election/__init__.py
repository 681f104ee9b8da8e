"""Who leads: the lease's rules, the places where it lives, and the label that points there."""
