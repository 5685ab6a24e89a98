"""The suites held to deliberately broken repositories: each law can be seen to fail."""
