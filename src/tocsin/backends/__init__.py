"""Where state is kept. Each backend is one adapter of the Store port."""
