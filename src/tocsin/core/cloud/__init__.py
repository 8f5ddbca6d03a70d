"""Cloud Control's decisions: patches, what a resource's model may hold and shows, where a request stands.

Pure: the door reads and calls, and asks here what it means.
"""
