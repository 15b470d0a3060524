"""Fairdrop: a flash-sale order service. Imports run one way: http, cli, rush → services → storage → domain."""

__version__ = "0.1.0"
