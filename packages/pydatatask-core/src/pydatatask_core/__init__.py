"""The core of pydatatask: repositories, tasks, local processes, sessions and the pipeline loop.

Here belongs what a pipeline needs whose data and work stay on one machine, and the contracts that
backends implement. No client library of a service, and nothing of the command line. Everything is
loaded when it is first used; networkx, jinja2 and yaml when a function first needs them.

Inside, lower knows nothing of higher: ``errors`` < ``utils`` < ``session``, ``resource_manager``
< ``repository``, ``proc_manager`` < ``task`` < ``pipeline`` < ``testing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import reexported_names

if TYPE_CHECKING:
    from .errors import *
    from .pipeline import *
    from .proc_manager import *
    from .repository import *
    from .resource_manager import *
    from .session import *
    from .task import *
    from .utils import *

# Of all that the modules offer, what a pipeline is usually written with.
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
    "ManagerPool",
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
    "Template",
    "YamlMetadataFileRepository",
    "YamlMetadataRepository",
    "async_copyfile",
    "async_copyfile_str",
    "decode_job_id",
    "encode_job_id",
    "parse_quantity",
    "roundrobin",
]

if not TYPE_CHECKING:
    # Those that load nothing but what is asked for go first.
    __getattr__, __dir__ = reexported_names(
        globals(),
        (
            ".pipeline",
            ".task",
            ".repository",
            ".proc_manager",
            ".errors",
            ".utils",
            ".session",
            ".resource_manager",
        ),
    )
