"""The laws of process managers and of their backends, as tests."""
