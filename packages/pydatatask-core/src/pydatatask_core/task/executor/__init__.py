"""The parts of an executor task: submission of jobs, serialization, and the code in the workers.

Workers in other processes import ``worker`` and ``serialization``, which therefore do not depend on
pipelines. Only ``adapter`` depends on the kind of executor.
"""
