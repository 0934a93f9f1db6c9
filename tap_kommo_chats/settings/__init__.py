"""The settings: which there are, what is wrong with those given, and what they say."""
