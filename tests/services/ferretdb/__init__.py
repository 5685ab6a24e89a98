"""FerretDB, built from its Go module."""
