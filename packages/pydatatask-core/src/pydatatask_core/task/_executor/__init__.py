"""What an executor task is made of: where its jobs go, what travels there, and what runs there.

``worker`` and ``travel`` are imported by workers in other processes, so they know nothing of
pipelines; only ``placement`` knows kinds of executors.
"""
