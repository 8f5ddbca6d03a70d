"""Decisions: pure functions, facts in, decisions out. Time, chance and ids come in by argument."""
