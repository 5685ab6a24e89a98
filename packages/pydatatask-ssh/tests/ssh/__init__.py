"""Tests of processes over SSH."""
