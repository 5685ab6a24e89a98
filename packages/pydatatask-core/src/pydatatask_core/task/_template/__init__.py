"""Jinja2 as templates use it: data only, every name known, nothing deleted silently.

Here belongs what needs Jinja2, which is imported when a template needs it and not before.
"""
