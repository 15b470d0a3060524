"""How gunicorn runs us. `fairdrop serve` passes the address and the number of workers."""

worker_class = "app.http.greenlets.FairdropWorker"
worker_connections = 4_000
"""Clients a worker holds at once; each waiting one is a greenlet of some 20 kB."""

keepalive = 75
"""Seconds an idle connection is kept: longer than a load balancer's, so that it is not the one to be surprised."""

graceful_timeout = 10
timeout = 60

limit_request_line = 4_094
limit_request_fields = 64
limit_request_field_size = 8_190

preload_app = False
"""No gRPC channel may exist before the fork."""

loglevel = "warning"
