"""The streams, as Singer asks for them: name, schema, keys, source of records."""
