"""The common part of jobs that outlive the driver, such as processes and pods.

`DetachedTask` has the life of a job in the driver, `JobTracker` its phases, and `OutcomeRecorder`
the order of writes at its end. Nothing here depends on the kind of job.
"""
