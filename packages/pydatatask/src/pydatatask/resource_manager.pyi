from pydatatask_core.resource_manager import *
