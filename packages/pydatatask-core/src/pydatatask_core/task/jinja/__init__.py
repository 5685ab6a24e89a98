"""The use of Jinja2 by templates: reading the source, the environment, and the analysis of names.

Names mean data only, every name has to be known, and nothing is deleted silently. The package is
imported only when a template needs it.
"""
