"""From raw platforms to normalised expression."""
