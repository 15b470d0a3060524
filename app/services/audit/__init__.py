"""The auditor: reads a sale at one database timestamp, and runs every check over it."""
