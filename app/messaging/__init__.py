"""The edge to Pub/Sub: events as CloudEvents, topics, publishing a page, consuming a batch. Knows no table and no rule."""
