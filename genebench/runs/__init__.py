"""From a request to executed jobs: plan, execute, tune."""
