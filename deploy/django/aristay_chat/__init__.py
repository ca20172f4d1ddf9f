"""The AriStay chat engine in a Django project. README.md says how to set it up."""
