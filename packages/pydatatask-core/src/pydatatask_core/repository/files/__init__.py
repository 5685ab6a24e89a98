"""Repositories whose jobs are the entries of a local folder."""
