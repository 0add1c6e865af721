"""Networks that tell what a whole picture shows."""
