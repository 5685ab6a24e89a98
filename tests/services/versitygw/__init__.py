"""Versity's S3 gateway, built from its Go module; it stores objects as files in a folder."""
