"""Tocsin: HyperPod-style training clusters and the events they ring."""

__version__ = "0.1.0"
