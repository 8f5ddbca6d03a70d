"""Run Command's decisions: what a document says, what its parameters may be, whose turn it is, how it all ended."""
