"""Java's regular expressions, as AWS writes them, in bounded time."""
