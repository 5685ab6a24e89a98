"""Helpers for the tests of process tasks on local and remote machines."""
