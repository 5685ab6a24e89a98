"""Processes on the machine of the driver.

This package contains the code that makes Linux system calls. It does not handle other machines.
"""
