"""Word lattices: search, determinisation, paths, files, errors."""
