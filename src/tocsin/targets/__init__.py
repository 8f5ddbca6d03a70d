"""Where deliveries end. Each target takes an event and returns an outcome."""
