"""The connection to a cluster, and the pods of an application as the API server shows them.

Here belong: requests and their errors, the watch of pods, the cache of pods, the state of one pod.

Here do not belong: jobs, and why a pod has ended.
"""
