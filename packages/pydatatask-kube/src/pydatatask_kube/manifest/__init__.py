"""From the text of a rendered template to the pod that is created. Pure."""
