"""Load on the API and the shop front, on one machine: who waits for how long, and for what."""
