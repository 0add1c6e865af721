"""What every layer may use: files that are whole, limits, names. Standard library and torch alone."""
