"""Conformance tests for process managers and their backends."""
