"""The registry of the CNCF's distribution project, built from its Go module; release 3 or later."""
