"""Holds terraform/ against the provider's schema and itself, without the provider: `scripts/check-terraform`."""
