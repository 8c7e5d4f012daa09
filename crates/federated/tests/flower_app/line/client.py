"""Flower wants a ClientApp in every app; the clients of this one are nodes of gradus."""

from flwr.clientapp import ClientApp

app = ClientApp()
