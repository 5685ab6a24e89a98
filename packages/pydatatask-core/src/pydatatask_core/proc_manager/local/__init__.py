"""Processes of the machine that the driver runs on.

Here belongs what uses system calls of Linux. Nothing here knows another machine.
"""
