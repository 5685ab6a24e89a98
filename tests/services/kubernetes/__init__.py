"""A single-node cluster for the tests: Kubernetes in one program, and containerd."""
