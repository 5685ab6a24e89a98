"""The supervisor program: two processes that start the jobs of a driver and outlive it.

The driver starts it as a program of its own (``python -I -S``), so its modules import the standard
library only, and little of it. ``protocol.run_directory`` specifies the files.

The *inner* process starts the jobs, waits for them, and writes their exit statuses. The *outer* one
waits for the inner one. Both are subreapers (prctl(2)): if the inner process is killed, its jobs
become children of the outer one, which finds them in the journal and continues with them. If the
outer process is killed, nothing changes. Both end when the driver has closed its end of the socket
and the last job has ended.
"""
