"""From a request to executed jobs."""
