"""lastiterate: learning-rate-schedule theory to understand, check and use."""

__version__ = "0.1.0"
