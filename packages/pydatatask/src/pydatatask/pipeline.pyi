from pydatatask_core.pipeline import *
