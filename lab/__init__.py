"""Real servers on loopback, started and stopped by the demo and the tests. Not part of the installed package."""
