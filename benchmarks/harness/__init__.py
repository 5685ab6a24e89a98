"""Runner of the cases: fresh processes in turns, an environment per peer, medians and ratios.

The harness is independent of the cases, which are defined in ``cases`` and ``programs``.
"""
