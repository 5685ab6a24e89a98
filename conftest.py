"""What the tests of all packages share: the real servers, and how tests are spread."""

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
