"""The whole service on one machine: its processes started, waited for and stopped. For the demo, the bench and the system tests."""
