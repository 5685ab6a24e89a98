"""What the repositories of files and directories share, down at the system calls.

Everything in here blocks, except the two streams, and is therefore called in a thread, once for
a whole operation. Nothing in here knows a repository class, a job id's rules, or a format.
"""
