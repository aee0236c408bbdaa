"""Clients and collections: the verbs, each written once for embedded and remote backends, with and without ``await``."""
