"""A network on a local page and over HTTP: `subquad serve`."""
