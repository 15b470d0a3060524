"""Requests and responses: views parse, call a service, answer. Nothing is decided here."""
