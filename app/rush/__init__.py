"""The rush: a load generator that drives a running service over HTTP. A client; it knows nothing of the service's inside."""
