"""The protocol of run directories: their files, the identity of a process, and its status. Pure.

This package contains everything that process managers with run directories share on any machine.
"""
