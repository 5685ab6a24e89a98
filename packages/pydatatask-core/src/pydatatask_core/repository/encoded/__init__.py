"""Metadata repositories whose values are encoded as text, one blob or file per job."""
