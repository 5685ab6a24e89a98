"""The language of the project: plain technical English, counted."""
