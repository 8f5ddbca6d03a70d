"""Cluster extensions as decisions: what requests make of them, where they stand, what their nodes are due."""
