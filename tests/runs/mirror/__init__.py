"""Tests of the streams that mirror what the CRM has."""
