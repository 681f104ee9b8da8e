"""What to do about it: the observation, the plan, Prometheus itself, and the one loop."""
