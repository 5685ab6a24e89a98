"""The common part of jobs that outlive the driver, such as processes and pods.

Nothing here depends on the kind of job.
"""
