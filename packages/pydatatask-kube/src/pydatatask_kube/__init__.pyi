from .errors import PodManagerError as PodManagerError
from .function import KubeFunctionTask as KubeFunctionTask
from .live import LiveKubeRepository as LiveKubeRepository
from .manager import PodManager as PodManager
from .task import KubeTask as KubeTask
