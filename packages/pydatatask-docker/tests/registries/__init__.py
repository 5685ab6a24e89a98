"""Tests that ask a registry."""
