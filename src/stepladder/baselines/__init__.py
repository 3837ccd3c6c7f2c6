"""What a study is compared with that is no network."""
