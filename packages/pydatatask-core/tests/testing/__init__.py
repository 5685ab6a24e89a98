"""The conformance suites, tested with deliberately broken repositories that violate each law."""
