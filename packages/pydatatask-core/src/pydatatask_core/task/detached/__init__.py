"""Jobs that outlive the driver, such as processes and pods.

Here belongs what all kinds of such jobs share. Nothing here knows a process or a pod.
"""
