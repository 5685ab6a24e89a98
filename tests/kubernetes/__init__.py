"""Tests of pods on a real cluster."""
