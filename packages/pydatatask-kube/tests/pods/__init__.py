"""Pods on an API server of the tests' own."""
