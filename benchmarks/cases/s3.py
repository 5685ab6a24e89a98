"""Case 6: S3, on a real server on this machine."""

from __future__ import annotations

from harness.case import OURS, PEAK, Case, Contestant, Figure, Size, Target, program

from .services import s3

__all__ = ["S3_LARGE", "S3_SMALL"]

_MIB = 2.0**-20

S3_SMALL = Case(
    "s3-small",
    "write, list and read the given number of blobs of 1 KiB in S3",
    note="16 at a time, on versitygw, in seconds. The server runs on the same processors and is "
    "reached through the loopback interface, so the figures show the cost of the client without a "
    "network. Requests are counted in the client.",
    contestants=[
        Contestant(OURS, program("s3_small", "ours")),
        Contestant("plain aiobotocore", program("s3_small", "plain")),
        Contestant("s3fs", program("s3_small", "s3fs"), "s3fs"),
    ],
    sizes=[Size(1_000), Size(10_000)],
    quick=[Size(20)],
    figures=[
        Figure("total", "all three"),
        Figure("write", "write"),
        Figure("list", "list"),
        Figure("read", "read"),
        Figure("requests", "requests", digits=0),
        Figure("list_requests", "to list", digits=0),
        PEAK,
    ],
    targets=[
        Target(
            "requests relative to plain aiobotocore with 10,000 blobs, at most 1",
            lambda table: table.middle_ratio(Size(10_000), OURS, "requests", "plain aiobotocore"),
            most=1,
        ),
    ],
    service=s3,
    rounds=3,
)

S3_LARGE = Case(
    "s3-large",
    "write and read one blob of the given number of MiB in S3",
    note="The blob is streamed, never held in memory as a whole. The figures are MiB/s, and the "
    "growth of peak resident memory.",
    contestants=[
        Contestant(OURS, program("s3_large", "ours")),
        Contestant("plain aiobotocore", program("s3_large", "plain")),
    ],
    sizes=[Size(1_024)],
    quick=[Size(16)],
    figures=[
        Figure("total", "seconds"),
        Figure("write", "write, MiB/s", _MIB, 0),
        Figure("read", "read, MiB/s", _MIB, 0),
        Figure("write_growth", "writing, + MiB", _MIB, 0),
        Figure("read_growth", "reading, + MiB", _MIB, 0),
    ],
    service=s3,
    rounds=3,
)
