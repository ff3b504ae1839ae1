"""What reviewers write, read: YAML text -> Spec or Broken. No models, no torch."""
