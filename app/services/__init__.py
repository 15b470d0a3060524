"""Use cases, one a function or small class. They know domain and storage, and nothing of HTTP."""
