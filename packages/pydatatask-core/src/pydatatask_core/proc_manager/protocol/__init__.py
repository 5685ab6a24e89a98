"""The protocol of run directories: their files, the identity of a process, and its status. Pure.

Here belongs what every process manager with run directories shares, whatever machine they are on.
"""
