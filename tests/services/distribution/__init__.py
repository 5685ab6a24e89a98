"""The registry of the CNCF distribution project, release 3 or later, built from its Go module."""
