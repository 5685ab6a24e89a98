"""The documentation of release 0.4.3 as data: each module's names, parameters, defaults and bases.

Each ``MODULE.api`` is written as Python; a comment says where we deliberately ask for less.
"""
