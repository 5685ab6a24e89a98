"""File system operations shared by the repositories of files and directories.

Everything in here blocks, except the two streams, and is therefore called in a thread, once per
operation. This package does not depend on repository classes, rules for job ids, or formats.
"""
