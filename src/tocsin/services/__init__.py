"""Loops: the fleet observes, plans, commits and applies; the bus reads the journal and delivers."""
