"""Spans of the requests and events that are traced, by OpenTelemetry's SDK. Whether one is, app/domain/trace_context.py says."""
