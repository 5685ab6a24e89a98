"""The core of pydatatask: repositories, tasks, local processes, sessions and the pipeline loop.

Here belongs what a pipeline needs whose data and work stay on one machine, and the contracts that
backends implement. No client library of a service, and nothing of the command line. Everything is
loaded when it is first used; networkx, jinja2 and yaml when a function first needs them.

Inside, lower knows nothing of higher: ``errors`` < ``utils`` < ``session``, ``resource_manager``
< ``repository``, ``proc_manager`` < ``task`` < ``pipeline`` < ``testing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names

if TYPE_CHECKING:
    from .errors import InvalidJobIdError as InvalidJobIdError
    from .errors import JobNotFoundError as JobNotFoundError
    from .errors import MissingBackendError as MissingBackendError
    from .errors import PydatataskError as PydatataskError
    from .errors import StoreError as StoreError
    from .pipeline.loop import Progress as Progress
    from .pipeline.loop import RunSummary as RunSummary
    from .pipeline.pipeline import Pipeline as Pipeline
    from .proc_manager.base import AbstractProcessManager as AbstractProcessManager
    from .proc_manager.local import LocalLinuxManager as LocalLinuxManager
    from .repository import AggregateAndRepository as AggregateAndRepository
    from .repository import AggregateOrRepository as AggregateOrRepository
    from .repository import BlobRepository as BlobRepository
    from .repository import BlockingRepository as BlockingRepository
    from .repository import DirectoryRepository as DirectoryRepository
    from .repository import FileRepository as FileRepository
    from .repository import FileRepositoryBase as FileRepositoryBase
    from .repository import InProcessBlobRepository as InProcessBlobRepository
    from .repository import InProcessBlobStream as InProcessBlobStream
    from .repository import InProcessMetadataRepository as InProcessMetadataRepository
    from .repository import JsonMetadataFileRepository as JsonMetadataFileRepository
    from .repository import JsonMetadataRepository as JsonMetadataRepository
    from .repository import MapRepository as MapRepository
    from .repository import MetadataRepository as MetadataRepository
    from .repository import RelatedItemRepository as RelatedItemRepository
    from .repository import Repository as Repository
    from .repository import SucceededRepository as SucceededRepository
    from .repository import YamlMetadataFileRepository as YamlMetadataFileRepository
    from .repository import YamlMetadataRepository as YamlMetadataRepository
    from .repository import decode_job_id as decode_job_id
    from .repository import encode_job_id as encode_job_id
    from .resource_manager import ResourceManager as ResourceManager
    from .resource_manager import Resources as Resources
    from .resource_manager import ResourceType as ResourceType
    from .resource_manager import parse_quantity as parse_quantity
    from .session import Session as Session
    from .task import STDOUT as STDOUT
    from .task import ExecutorLiveRepo as ExecutorLiveRepo
    from .task import ExecutorTask as ExecutorTask
    from .task import FunctionTask as FunctionTask
    from .task import FunctionTaskProtocol as FunctionTaskProtocol
    from .task import InProcessSyncTask as InProcessSyncTask
    from .task import Link as Link
    from .task import ProcessTask as ProcessTask
    from .task import Retries as Retries
    from .task import Task as Task
    from .utils import AReadStream as AReadStream
    from .utils import AReadText as AReadText
    from .utils import AWriteStream as AWriteStream
    from .utils import AWriteText as AWriteText
    from .utils import async_copyfile as async_copyfile
    from .utils import async_copyfile_str as async_copyfile_str
    from .utils import roundrobin as roundrobin

__all__ = [
    "STDOUT",
    "AReadStream",
    "AReadText",
    "AWriteStream",
    "AWriteText",
    "AbstractProcessManager",
    "AggregateAndRepository",
    "AggregateOrRepository",
    "BlobRepository",
    "BlockingRepository",
    "DirectoryRepository",
    "ExecutorLiveRepo",
    "ExecutorTask",
    "FileRepository",
    "FileRepositoryBase",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessBlobRepository",
    "InProcessBlobStream",
    "InProcessMetadataRepository",
    "InProcessSyncTask",
    "InvalidJobIdError",
    "JobNotFoundError",
    "JsonMetadataFileRepository",
    "JsonMetadataRepository",
    "Link",
    "LocalLinuxManager",
    "MapRepository",
    "MetadataRepository",
    "MissingBackendError",
    "Pipeline",
    "ProcessTask",
    "Progress",
    "PydatataskError",
    "RelatedItemRepository",
    "Repository",
    "ResourceManager",
    "ResourceType",
    "Resources",
    "Retries",
    "RunSummary",
    "Session",
    "StoreError",
    "SucceededRepository",
    "Task",
    "YamlMetadataFileRepository",
    "YamlMetadataRepository",
    "async_copyfile",
    "async_copyfile_str",
    "decode_job_id",
    "encode_job_id",
    "parse_quantity",
    "roundrobin",
]

_SOURCES = {
    ".errors": (
        "InvalidJobIdError",
        "JobNotFoundError",
        "MissingBackendError",
        "PydatataskError",
        "StoreError",
    ),
    ".pipeline.loop": ("Progress", "RunSummary"),
    ".pipeline.pipeline": ("Pipeline",),
    ".proc_manager.base": ("AbstractProcessManager",),
    ".proc_manager.local": ("LocalLinuxManager",),
    ".repository": (
        "AggregateAndRepository",
        "AggregateOrRepository",
        "BlobRepository",
        "BlockingRepository",
        "DirectoryRepository",
        "FileRepository",
        "FileRepositoryBase",
        "InProcessBlobRepository",
        "InProcessBlobStream",
        "InProcessMetadataRepository",
        "JsonMetadataFileRepository",
        "JsonMetadataRepository",
        "MapRepository",
        "MetadataRepository",
        "RelatedItemRepository",
        "Repository",
        "SucceededRepository",
        "YamlMetadataFileRepository",
        "YamlMetadataRepository",
        "decode_job_id",
        "encode_job_id",
    ),
    ".resource_manager": ("ResourceManager", "ResourceType", "Resources", "parse_quantity"),
    ".session": ("Session",),
    ".task": (
        "ExecutorLiveRepo",
        "ExecutorTask",
        "FunctionTask",
        "FunctionTaskProtocol",
        "InProcessSyncTask",
        "Link",
        "ProcessTask",
        "Retries",
        "STDOUT",
        "Task",
    ),
    ".utils": (
        "AReadStream",
        "AReadText",
        "AWriteStream",
        "AWriteText",
        "async_copyfile",
        "async_copyfile_str",
        "roundrobin",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
