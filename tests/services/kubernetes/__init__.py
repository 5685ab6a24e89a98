"""A cluster of one node that the tests start: Kubernetes in one program, and containerd."""
