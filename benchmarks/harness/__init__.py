"""What runs cases: fresh processes in turn, each peer's own environment, medians and ratios.

Nothing here knows what is measured; that is said in ``cases``, and done in ``programs``.
"""
