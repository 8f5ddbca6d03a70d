"""Ways in: the AWS wire protocols, the agents' link, our own API."""
