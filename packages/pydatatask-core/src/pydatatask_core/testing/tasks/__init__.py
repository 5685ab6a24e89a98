"""The conformance suite of tasks."""
