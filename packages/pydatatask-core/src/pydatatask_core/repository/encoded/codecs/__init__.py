"""Text formats for metadata, each as two pure functions: ``encode`` to bytes and ``decode``.

Decoding an encoded value returns an equal value of the same types. Text that was written by hand is
decoded according to the format. The codecs do not depend on repositories.
"""
