"""What an executor task is made of: where its jobs go, what travels there, and what runs there.

``worker`` and ``serialization`` are imported by workers in other processes, so they know nothing of
pipelines; only ``adapter`` knows kinds of executors.
"""
