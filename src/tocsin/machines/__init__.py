"""Where instances come from. Each provider is one adapter of the Machines port."""
