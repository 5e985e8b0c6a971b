"""The full sizes of what the tests show small: run by ``make proof``."""
