"""How gunicorn runs the simulator: one process, and a thread for each call that the payment workers may have in flight."""

worker_class = "gthread"
workers = 1
threads = 128
worker_connections = 1_000
keepalive = 75
graceful_timeout = 2
"""An answer that is held back on purpose is not waited for."""
timeout = 60
loglevel = "warning"
preload_app = False
