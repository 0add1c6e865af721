"""What suits pictures of one's own: network, start, crop, batch, steps, from the data alone."""
