from pydatatask_kube import PodManager as PodManager
from pydatatask_kube import PodManagerError as PodManagerError
