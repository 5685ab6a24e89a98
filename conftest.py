"""What the tests of all packages share: the real servers."""

pytest_plugins = [
    "services.finding",
    "services.mongodb",
    "services.registry",
    "services.s3",
    "services.sshd",
]
