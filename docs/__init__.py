"""The documentation site: how its pages are staged; `make site` builds it."""
