"""What an audit checks: pure functions over rows that come in a stated order, and yield what breaks a rule.

Nothing here keeps all orders in memory: a function holds a row, a customer, a commit, or a number per shard or order size.
"""
