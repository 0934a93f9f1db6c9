"""Kommo's two APIs. Knows neither settings nor Singer, but for its offset paginator."""
