"""What a sale needs and costs, before it is held: arithmetic over measured and published figures. Pure."""
