"""Deep health checks on the node: hardware under load, and the way to its peers. checks.py takes the order.

The tests run in a process of their own (__main__.py): they load the machine, and may hang or die with it.
"""
