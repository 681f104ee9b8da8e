"""The supervisor's loop: the observation, the plan, fencing, and what performs the plan."""
