"""LiveConnect: the operator and the two services that it runs."""

__version__ = "0.1.0"
