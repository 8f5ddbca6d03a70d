"""What a queue decides: which messages may be received, what a message and an attribute may be, what a handle says."""
