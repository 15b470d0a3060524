"""Measurements of this code on this machine, printed as ratios of things run side by side: `fairdrop bench`."""
