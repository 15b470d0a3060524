"""The payment service: a context of its own, with its own database. It knows orders by their events only."""
