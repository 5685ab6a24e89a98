"""Every part of pydatatask under one name.

Here belong: names. What the documentation calls ``pydatatask.X`` or ``pydatatask.<module>.X`` is
the very object that one of the other packages defines, found when it is first asked for.

Here does not belong: logic, nor an import that is not asked for. A name whose package is not
installed says which command installs it.
"""
