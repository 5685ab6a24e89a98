from .pipeline import Pipeline as Pipeline
from .run import Progress as Progress
from .run import RunSummary as RunSummary
