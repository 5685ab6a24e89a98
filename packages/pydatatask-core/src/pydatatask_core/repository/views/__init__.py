"""Views: repositories whose jobs follow from those of other repositories."""
