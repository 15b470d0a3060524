"""A sale's crowd as discrete events, to ask what a run here cannot show. Deterministic by seed; no I/O, no real clock."""
