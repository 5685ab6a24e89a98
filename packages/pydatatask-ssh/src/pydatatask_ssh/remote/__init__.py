"""One remote machine: the session, its shells, files and events.

This package contains everything that uses a single connection. It does not know about jobs.
"""
