"""Words: frozen records, names and errors. Imports nothing of the house; everything may import it."""
