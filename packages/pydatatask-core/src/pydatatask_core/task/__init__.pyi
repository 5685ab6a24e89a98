from pydatatask_core.proc_manager.base import STDOUT as STDOUT

from .base import Task as Task
from .executor.task import ExecutorLiveRepo as ExecutorLiveRepo
from .executor.task import ExecutorTask as ExecutorTask
from .function import FunctionTask as FunctionTask
from .function import FunctionTaskProtocol as FunctionTaskProtocol
from .inprocess import InProcessSyncTask as InProcessSyncTask
from .link import Link as Link
from .logging_task import LoggingTask as LoggingTask
from .process.task import ProcessTask as ProcessTask
from .retries import Retries as Retries
from .template import Template as Template
