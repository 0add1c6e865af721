"""What annotation tools write, one reader a format, and one that paints it."""
