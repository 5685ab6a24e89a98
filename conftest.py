"""Shared plugins of all tests: real servers, and the distribution of tests to workers."""

pytest_plugins = [
    "services.finding",
    "services.kubernetes.fixture",
    "services.mongodb",
    "services.obstacles",
    "services.registry",
    "services.s3",
    "services.spreading",
    "services.sshd",
]
