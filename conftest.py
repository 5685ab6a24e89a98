"""Shared plugins of all tests: real servers, and the distribution of tests to workers."""

from hypothesis import HealthCheck, settings

# A busy machine must not fail a test.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

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
