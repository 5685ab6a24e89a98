"""Pods on a real cluster."""
