"""What the API gives, and the Singer record it becomes. Pure."""
