"""Transactions and reads, one file a topic. Functions take a transaction or a database; no rule is decided here."""
