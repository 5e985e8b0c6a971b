"""An app with sagas for stories in the browser; what happens is said by their payloads."""
