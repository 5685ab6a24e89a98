"""Repositories in Amazon S3 and compatible object stores.

This package contains the repositories whose values are objects of a bucket, the streams that read
and write these objects in bounded memory, and the translation of the client library's errors into
those of pydatatask.

It does not contain a client (the user creates one and passes it in as a session resource), code
that depends on another backend, or rules that belong to :mod:`pydatatask_core`, such as the data
model of metadata or the valid job ids. ``aiobotocore`` and ``botocore`` are imported in this
package only, and this package imports no pydatatask package except the core.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
