"""An app with sagas for stories of real workers; its steps write what they do into a file."""
