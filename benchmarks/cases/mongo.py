"""Case 7: MongoDB, compared with the driver alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, Case, Contestant, Figure, Size, Target, program

from .services import mongodb

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.table import Table

__all__ = ["MONGO"]

_MANY = Size(100_000)
_PYMONGO = f"{OURS}, PyMongo"
_PAIRS = {OURS: "motor alone", _PYMONGO: "PyMongo alone"}


def _over(ours: str, key: str) -> Callable[[Table], float | None]:
    return lambda table: table.middle_ratio(_MANY, ours, key, _PAIRS[ours])


MONGO = Case(
    "mongo",
    "a collection of the given number of records: read all keys, and all records",
    note="In seconds; the processor time is that of the client. `alone` means a dict built from "
    "the driver's cursor. The server is mongod if it is installed, else FerretDB over SQLite. The "
    "ratio is that of reading all records, relative to pydatatask with motor.",
    contestants=[
        Contestant(
            OURS, program("mongo", "motor", "ours"), before=program("mongo", "motor", "fill")
        ),
        Contestant("motor alone", program("mongo", "motor", "bare")),
        Contestant(_PYMONGO, program("mongo", "pymongo", "ours")),
        Contestant("PyMongo alone", program("mongo", "pymongo", "bare")),
    ],
    sizes=[_MANY],
    quick=[Size(200)],
    figures=[
        Figure("all", "info_all"),
        Figure("all_processor", "processor time, s"),
        Figure("keys", "keys"),
        Figure("keys_processor", "processor time, s"),
        PEAK,
    ],
    targets=[
        Target(f"relative to the driver: {what}, {ours}, at most 1.2", _over(ours, key), most=1.2)
        for ours in _PAIRS
        for what, key in (("info_all", "all"), ("keys", "keys"))
    ],
    service=mongodb,
    shared=True,
    rounds=5,
)
