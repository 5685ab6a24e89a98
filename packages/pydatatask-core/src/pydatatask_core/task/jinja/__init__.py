"""The parts of templates: their source, an environment of Jinja2, and an analysis of names.

Here belongs how Jinja2 is used: data only, every name known, nothing deleted silently. It is
imported when a template needs it and not before.
"""
