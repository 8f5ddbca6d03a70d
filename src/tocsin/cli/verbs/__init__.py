"""Verbs that are groups. They are defined here and imported at every start, so what they need they import later."""
