"""OAuth 2.0 towards the partners: access tokens that are kept encrypted, and renewed once for all.

A connector makes its `Tokens` (in `tokens`) from a `Client` (in `flows`) and sends its requests
with `send` (in `exchange`): they carry a valid access token, and one that the partner refuses is
renewed once and the request repeated. Tokens are rows, so that all workers share one, and a row's
lock lets only one of them ask for the next.
"""
