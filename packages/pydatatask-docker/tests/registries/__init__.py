"""Tests that need a registry."""
