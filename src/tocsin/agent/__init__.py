"""What runs on a node: the link to the server, lifecycle scripts, later the watching of hardware."""
