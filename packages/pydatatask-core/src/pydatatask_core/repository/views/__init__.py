"""Views: repositories whose jobs are computed from those of other repositories."""
