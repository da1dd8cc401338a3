"""Generative adversarial networks in JAX: improve them, and tell what they made."""

__version__ = "0.1.0"
