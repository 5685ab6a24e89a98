"""Versity's S3 gateway, built from its Go module; it keeps objects as files in a folder."""
