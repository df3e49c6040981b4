"""3RScan sequences and rescans."""
