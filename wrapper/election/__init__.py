"""Leader election: the lease, its locks (Kubernetes Lease, lock file), pod label and pause."""
