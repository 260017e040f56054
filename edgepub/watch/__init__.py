"""What nodes publish, shown live to a person: a subscriber that knows nothing but what the broker says."""
