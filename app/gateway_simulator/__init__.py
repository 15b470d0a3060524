"""A card processor to develop against: a process of its own, with HTTP, a durable book, and the faults of real ones."""
