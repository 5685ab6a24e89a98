"""Tests that ask a server."""
