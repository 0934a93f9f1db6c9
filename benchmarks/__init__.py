"""How fast the tap is, beside others that do the same work.

``python -m benchmarks`` runs all scenarios against a server of its own on this
machine's loopback address and prints one table. What counts are the ratios: two
programs that took turns on one machine. Seconds say more about the machine.
"""
