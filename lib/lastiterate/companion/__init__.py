"""What makes the figures, verdicts, notebooks and tables of this repository."""
