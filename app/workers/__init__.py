"""Loops that run until SIGTERM: fetch, call a service, acknowledge. Nothing is decided here."""
