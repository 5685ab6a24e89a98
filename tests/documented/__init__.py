"""The documentation of release 0.4.3 as data: each module's names, parameters, defaults and bases.

Each ``MODULE.api`` has the syntax of Python; comments explain where we deliberately require less.
"""
