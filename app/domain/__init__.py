"""The rules of the sale: pure functions and values. No I/O, no clock, no randomness, nothing but the standard library."""
