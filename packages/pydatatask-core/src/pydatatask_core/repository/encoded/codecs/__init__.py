"""Text formats for metadata, each as two pure functions: ``encode`` to bytes and ``decode``.

What was encoded decodes to an equal value of the same types. A text that was written by hand
decodes to what its format says. Nothing in here knows a repository.
"""
