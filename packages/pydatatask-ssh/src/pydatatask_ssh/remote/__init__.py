"""One remote machine: the session, its shells, files and events.

Here belongs what a single connection to a machine is used for. Nothing here knows a job.
"""
