"""The laws of repositories as tests."""
