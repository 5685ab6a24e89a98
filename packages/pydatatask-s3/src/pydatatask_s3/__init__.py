"""Repositories in Amazon S3 and in object stores that speak its protocol.

Here belong: repositories whose values are objects of a bucket, the streams that read and write
those objects in bounded memory, and the translation of the client library's errors into
pydatatask's own.

Here do not belong: a client (the user makes it and hands it in through a session resource),
knowledge of another backend, and any policy that :mod:`pydatatask_core` already keeps, such as
the data model of metadata or what makes a job id valid. ``aiobotocore`` and ``botocore`` are
imported in this package and nowhere else; nothing of pydatatask but the core is.
"""
