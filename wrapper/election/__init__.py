"""Leader election: the lease, its locks (Kubernetes Lease, lock file), the pod's label, pauses."""
