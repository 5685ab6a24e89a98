"""Why and how a pod has ended, and the record of it. Pure."""
