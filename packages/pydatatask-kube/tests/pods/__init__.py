"""Tests of pods with a fake API server."""
