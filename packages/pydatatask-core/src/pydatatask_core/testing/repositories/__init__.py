"""Conformance tests for repositories."""
